"""Thresholds as they are written on the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence

from twin.target.errors import TwinError

_THRESHOLD = re.compile(r"([a-z_]+(?:@\d+)?)=(\d*\.?\d+)")


def thresholds(given: Sequence[str], option: str, example: str) -> dict[str, float]:
    """`ndcg@10=0.75` and the like as name -> value.

    Args:
        given: what the caller wrote, once per use of the option.
        option: its name, for the message.
        example: how it is written, for the message.

    Raises:
        TwinError: one is written differently.
    """
    found: dict[str, float] = {}
    for text in given:
        match = _THRESHOLD.fullmatch(text)
        if match is None:
            raise TwinError(f"{option} {text} is not of the form NAME=VALUE, for example {example}.")
        found[match[1]] = float(match[2])
    return found
