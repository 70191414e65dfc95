"""Error that a command shows as one sentence."""

from __future__ import annotations


class TwinError(RuntimeError):
    """A command cannot go on; the message is a sentence that says what was wrong and what to do."""
