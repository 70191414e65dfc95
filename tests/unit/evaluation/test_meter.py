"""The budget of judging between threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from services.evaluation.judges.errors import JudgingStopped
from services.evaluation.judges.meter import Counts, Meter, Price

PRICE = Price(input=1_000_000.0)
"""A dollar for a token."""


def second_of_two(meter: Meter, over: Callable[[], None]) -> Future[float]:
    """A second call of at most five dollars, asked for before the first is `over`."""
    asked = threading.Event()

    def ask() -> float:
        asked.set()
        return meter.reserve(5, 0)

    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(ask)
        assert asked.wait(30)
        with pytest.raises(TimeoutError):
            second.result(0.1)
        over()
    return second


def test_a_call_waits_for_what_others_only_set_aside() -> None:
    meter = Meter(PRICE, allowance=8.0)
    first = meter.reserve(5, 0)
    assert second_of_two(meter, lambda: meter.settle(first, 3, 0)).result() == 5.0
    assert meter.counts == Counts(stopped=0)


def test_a_call_that_fails_gives_its_share_to_the_one_that_waits() -> None:
    meter = Meter(PRICE, allowance=5.0)
    first = meter.reserve(5, 0)
    assert second_of_two(meter, lambda: meter.release(first)).result() == 5.0


def test_a_waiting_call_is_refused_once_the_budget_is_used_up() -> None:
    meter = Meter(PRICE, allowance=8.0)
    first = meter.reserve(5, 0)
    with pytest.raises(JudgingStopped):
        second_of_two(meter, lambda: meter.settle(first, 4, 0)).result()
    assert meter.counts == Counts(stopped=1)


def test_a_waiting_call_learns_what_others_spent_elsewhere() -> None:
    meter = Meter(PRICE, allowance=8.0)
    meter.reserve(5, 0)
    with pytest.raises(JudgingStopped):
        second_of_two(meter, lambda: meter.allow(4.0)).result()
