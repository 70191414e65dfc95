"""Measures retrieval on labelled questions."""
