"""The part of Lambda's context object that handlers use.

https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
"""

from __future__ import annotations

from typing import Protocol


class LambdaContext(Protocol):
    """What Lambda passes as a handler's second argument."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""
        ...
