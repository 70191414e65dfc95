"""Brings documents into the store."""
