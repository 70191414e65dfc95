"""Type of the functions that take a long command's progress, line by line."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str], None]
"""Takes one line about how far a command has come."""


def no_progress(_line: str) -> None:
    """Drop the line."""
