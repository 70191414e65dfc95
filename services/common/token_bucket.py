"""A rate limit that allows bursts."""

from __future__ import annotations

import time
from collections.abc import Callable


class TokenBucket:
    """Lets `rate` events a second through on average, with bursts up to `burst`; not thread-safe (one event loop)."""

    def __init__(self, rate: float, burst: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = max(burst if burst is not None else rate, 1.0) if rate > 0 else 0.0
        self._tokens = self._burst
        self._clock = clock
        self._last = clock()

    def take(self) -> bool:
        """Let one event pass; False when it may not pass now."""
        if self.level() < 1:
            return False
        self._tokens -= 1
        return True

    def level(self) -> float:
        """Number of events that may pass at once now."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._last) * self._rate)
        self._last = now
        return self._tokens

    def seconds_until(self, level: float) -> float:
        """Time until `level` events may pass at once; 0 when they may now.

        Args:
            level: at most the burst, which is never exceeded.
        """
        missing = min(level, self._burst) - self.level()
        return max(0.0, missing / self._rate) if self._rate > 0 else float("inf")
