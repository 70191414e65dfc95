"""`twin ingest`, `ask`, `trace`: documents in, answers out, and how each came about."""
