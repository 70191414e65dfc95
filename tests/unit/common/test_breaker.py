from __future__ import annotations

import asyncio

import pytest

from services.common.breaker import CircuitBreaker, CircuitOpen


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Down(Exception):
    pass


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def changes() -> list[str]:
    return []


@pytest.fixture
def breaker(clock: Clock, changes: list[str]) -> CircuitBreaker:
    return CircuitBreaker(
        "store", (Down,), failures=3, pause_seconds=5, on_change=lambda _, state: changes.append(state), clock=clock
    )


def fail(breaker: CircuitBreaker, error: BaseException) -> None:
    with pytest.raises(type(error)), breaker.call():
        raise error


def test_failures_in_a_row_open_it_and_a_pause_later_one_call_tries(
    breaker: CircuitBreaker, clock: Clock, changes: list[str]
) -> None:
    for _ in range(3):
        fail(breaker, Down())
    with pytest.raises(CircuitOpen, match="store failed 3 times in a row"), breaker.call():
        pytest.fail("an open breaker lets nothing through")
    clock.now += 5
    with breaker.call():
        with pytest.raises(CircuitOpen), breaker.call():
            pytest.fail("only one call tries")
        assert breaker.state == "half_open"
    assert changes == ["closed", "open", "half_open", "closed"]


def test_a_success_between_failures_keeps_it_closed(breaker: CircuitBreaker) -> None:
    for _ in range(4):
        fail(breaker, Down())
        fail(breaker, Down())
        with breaker.call():
            pass
    assert breaker.state == "closed"


def test_a_trial_that_fails_opens_it_for_another_pause(breaker: CircuitBreaker, clock: Clock) -> None:
    for _ in range(3):
        fail(breaker, Down())
    clock.now += 5
    fail(breaker, Down())
    clock.now += 4.9
    with pytest.raises(CircuitOpen), breaker.call():
        pass
    clock.now += 0.1
    with breaker.call():
        pass
    assert breaker.state == "closed"


def test_what_is_not_the_dependencys_fault_does_not_count(breaker: CircuitBreaker) -> None:
    for _ in range(5):
        fail(breaker, ValueError())
        fail(breaker, asyncio.CancelledError())
    assert breaker.state == "closed"


def test_a_caller_who_leaves_during_the_trial_leaves_it_to_the_next(breaker: CircuitBreaker, clock: Clock) -> None:
    for _ in range(3):
        fail(breaker, Down())
    clock.now += 5
    fail(breaker, asyncio.CancelledError())
    assert breaker.state == "open"
    with breaker.call():
        pass
    assert breaker.state == "closed"
