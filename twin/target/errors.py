"""The one error that a command shows to a person."""

from __future__ import annotations


class TwinError(RuntimeError):
    """A command cannot go on; the message is a sentence that says what was wrong and what to do."""
