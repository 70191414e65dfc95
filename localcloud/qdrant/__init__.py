"""Qdrant-compatible HTTP server over Qdrant's embedded engine, with the part of the REST interface that is used here.

Interface: https://api.qdrant.tech/api-reference.
"""
