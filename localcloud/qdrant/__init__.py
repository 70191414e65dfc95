"""A Qdrant-compatible HTTP server over Qdrant's embedded engine: the part of its REST interface in use here."""
