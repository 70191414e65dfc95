"""The time that the functions of the cost limits wait by: real, but for tests of what lasts longer than they do."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Clock:
    """Seconds, and a pause in seconds.

    Attributes:
        now: seconds since some moment, for differences.
        sleep: waits.
    """

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


REAL = Clock()
