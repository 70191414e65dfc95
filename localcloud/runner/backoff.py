"""How long to wait before the next restart."""

from __future__ import annotations

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0


def delay(crashes: int) -> float:
    """Seconds before the restart after `crashes` crashes in a row: 0.5, 1, 2, ... up to 30."""
    if crashes == 0:
        return 0.0
    return float(min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** (crashes - 1)))
