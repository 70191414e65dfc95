"""Rate limits: a token bucket per API key.

Buckets live in the process. With several tasks behind a load balancer a key may reach its limit once per task.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from services.common.token_bucket import TokenBucket
from services.rag.api.auth import ApiKey


@dataclass(frozen=True)
class Allowance:
    """Decision on one request of a key, and what is left of the key's limit.

    Attributes:
        passed: whether this request is allowed.
        limit: requests per minute.
        remaining: requests that are allowed right after this one.
        retry_after: whole seconds until one more may; 0 when it may now.
        reset: seconds until the full limit is available again.
    """

    passed: bool
    limit: int
    remaining: int
    retry_after: int
    reset: float

    @property
    def headers(self) -> dict[str, str]:
        """Response headers, named like OpenAI's."""
        headers = {
            "X-RateLimit-Limit-Requests": str(self.limit),
            "X-RateLimit-Remaining-Requests": str(self.remaining),
            "X-RateLimit-Reset-Requests": f"{self.reset:.1f}s",
        }
        return headers if self.passed else {**headers, "Retry-After": str(self.retry_after)}


class RateLimiter:
    """A bucket per key that holds a minute's worth of requests and fills evenly."""

    def __init__(self, default_per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._default = default_per_minute
        self._clock = clock
        self._buckets: dict[str, tuple[int, TokenBucket]] = {}

    def take(self, key: ApiKey) -> Allowance:
        """Charge one request to a key."""
        limit = key.requests_per_minute or self._default
        known = self._buckets.get(key.sha256)
        if known is None or known[0] != limit:
            # As many buckets as the secret holds keys: callers cannot add any.
            known = self._buckets[key.sha256] = (limit, TokenBucket(limit / 60, limit, self._clock))
        bucket = known[1]
        passed = bucket.take()
        return Allowance(
            passed,
            limit,
            remaining=int(bucket.level()),
            retry_after=math.ceil(bucket.seconds_until(1)),
            reset=bucket.seconds_until(limit),
        )
