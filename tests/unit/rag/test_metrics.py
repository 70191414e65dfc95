"""The registry's own logic; what is exposed is tested on the running service."""

from __future__ import annotations

import asyncio

from services.rag.telemetry.metrics import Measured, Metrics


async def test_each_request_gets_its_own_record() -> None:
    metrics = Metrics()

    async def request(number: int) -> int | None:
        record = metrics.start_request()
        await asyncio.sleep(0.01)
        metrics.observe_answer(Measured(prompt_tokens=number))
        await asyncio.sleep(0.01)
        return record.measured.prompt_tokens if record.measured else None

    assert await asyncio.gather(*(request(number) for number in range(5))) == list(range(5))


def test_shed_requests_are_taken_once() -> None:
    metrics = Metrics()
    metrics.count_shed("cpu")
    metrics.count_shed("rate_limit")
    assert (metrics.take_shed(), metrics.take_shed()) == (2, 0)
    assert b'twin_shed_requests_total{reason="cpu"} 1.0' in metrics.exposition()
    assert b'twin_shed_requests_total{reason="llm"} 0.0' in metrics.exposition()


def test_held_requests_and_breakers_are_shown_as_they_are_now() -> None:
    metrics = Metrics()
    metrics.set_held(7)
    metrics.set_held(4)
    metrics.set_breaker_state("qdrant", "open")
    metrics.set_breaker_state("qdrant", "half_open")
    shown = metrics.exposition()
    assert metrics.held_now == 4 and b"twin_held_requests 4.0" in shown
    assert b'twin_breaker_state{dependency="qdrant",twin_breaker_state="half_open"} 1.0' in shown
    assert b'twin_breaker_state{dependency="qdrant",twin_breaker_state="open"} 0.0' in shown


def test_two_applications_in_a_process_do_not_share() -> None:
    one, two = Metrics(), Metrics()
    one.observe_request("GET", "/x", 200, 0.1)
    assert b"/x" in one.exposition() and b"/x" not in two.exposition()
