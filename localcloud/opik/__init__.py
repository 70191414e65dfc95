"""Opik-compatible collector over one SQLite file: the API that the unmodified SDK uses, and pages for a browser."""
