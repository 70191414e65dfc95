"""Business microservice: retrieval-augmented answers over an LLM endpoint."""
