"""Orders what the searches found: the blend of cosine and BM25, and optionally a model on top of it."""
