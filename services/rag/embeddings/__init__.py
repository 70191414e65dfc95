"""Embedding on threads, off the event loop."""
