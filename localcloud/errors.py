"""What the local cloud tells a person."""

from __future__ import annotations


class LocalCloudError(RuntimeError):
    """The local cloud cannot go on; the message is a sentence that says what was wrong and what to do."""
