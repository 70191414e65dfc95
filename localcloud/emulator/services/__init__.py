"""Control planes that MiniStack lacks."""
