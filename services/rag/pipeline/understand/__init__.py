"""Query understanding: rephrasings of a question to search with, and filters in it."""
