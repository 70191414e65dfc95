"""The error that commands show to a person."""

from __future__ import annotations


class LocalCloudError(RuntimeError):
    """The local cloud cannot start or continue; the message says in a sentence what is wrong and what to do."""
