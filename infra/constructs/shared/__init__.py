"""Helpers shared by constructs of several subjects."""
