"""Requests per key over time."""

from __future__ import annotations

import pytest

from services.rag.api.auth import ApiKey
from services.rag.api.limits import RateLimiter
from tests.unit.rag.test_auth import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_minutes_worth_at_once_and_then_evenly(clock: Clock) -> None:
    limiter, key = RateLimiter(default_per_minute=30, clock=clock), ApiKey("a", "1")
    assert [limiter.take(key).passed for _ in range(31)] == [True] * 30 + [False]
    refused = limiter.take(key)
    assert (refused.limit, refused.remaining, refused.retry_after) == (30, 0, 2)
    assert refused.reset == pytest.approx(60)
    clock.now += refused.retry_after
    assert [limiter.take(key).passed for _ in range(2)] == [True, False]
    clock.now += 3600
    full = limiter.take(key)
    assert (full.passed, full.remaining, full.retry_after) == (True, 29, 0)


def test_keys_do_not_share_and_a_limit_may_change(clock: Clock) -> None:
    limiter = RateLimiter(default_per_minute=1, clock=clock)
    assert limiter.take(ApiKey("a", "1")).passed
    assert not limiter.take(ApiKey("a", "1")).passed
    assert limiter.take(ApiKey("b", "2")).passed
    # The same name with another key is another key; the same key with another limit starts anew.
    assert limiter.take(ApiKey("a", "3")).passed
    raised = limiter.take(ApiKey("a", "1", requests_per_minute=5))
    assert (raised.passed, raised.limit, raised.remaining) == (True, 5, 4)


def test_headers_tell_when_to_come_again(clock: Clock) -> None:
    limiter, key = RateLimiter(default_per_minute=2, clock=clock), ApiKey("a", "1")
    assert limiter.take(key).headers == {
        "X-RateLimit-Limit-Requests": "2",
        "X-RateLimit-Remaining-Requests": "1",
        "X-RateLimit-Reset-Requests": "30.0s",
    }
    limiter.take(key)
    assert limiter.take(key).headers["Retry-After"] == "30"
