"""Baselines that the service is measured against."""
