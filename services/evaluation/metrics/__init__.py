"""Judge-free quality metrics: pure functions of texts and an embedding function."""
