"""HTTP interface of the RAG service."""
