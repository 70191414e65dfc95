"""Engines: what turns a chat request into text."""
