"""Constructs: one package per subject."""
