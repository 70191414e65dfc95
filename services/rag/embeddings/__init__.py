"""Embedding off the event loop."""
