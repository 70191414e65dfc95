"""`twin vectors`: backups of the vector store."""
