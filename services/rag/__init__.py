"""RAG service: retrieval-augmented answers over an LLM endpoint."""
