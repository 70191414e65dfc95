"""Opik-compatible collector: what the unmodified SDK and a browser need, over one SQLite file."""
