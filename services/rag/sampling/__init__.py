"""Samples for the evaluation: from answers as they are given, and from those that callers dislike."""
