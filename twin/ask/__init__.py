"""`twin ingest`, `ask`, `trace`: ingestion of documents, questions, and traces."""
