"""Deployment settings: one typed, validated model per stage, one module per TOML table."""
