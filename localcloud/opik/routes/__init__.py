"""Opik's private REST API, a module per concern."""
