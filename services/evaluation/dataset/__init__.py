"""Samples and the Opik dataset that holds them."""
