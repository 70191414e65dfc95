"""Small helpers that constructs of several subjects use."""
