"""Programs that run on the vector store's own machine: the backup."""
