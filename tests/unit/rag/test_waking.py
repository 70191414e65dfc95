"""The gate before a sleeping model, without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from services.common.sagemaker import EndpointNotFound, EndpointUnavailable, InvocationError, NoCapacity
from services.rag.pipeline.waking import WakeGate
from services.rag.settings import RagSettings
from services.rag.telemetry.metrics import Metrics

Probe = Callable[[], Awaitable[None]]


class Model:
    """Asleep until it has been asked `naps` times."""

    def __init__(self, naps: int, says: InvocationError | None = None) -> None:
        self.asked = 0
        self._naps = naps
        self._says = says or NoCapacity("sleeping")

    async def probe(self) -> None:
        self.asked += 1
        if self.asked <= self._naps:
            raise self._says


def gate(probe: Probe, most: int = 10) -> WakeGate:
    return WakeGate(probe, Metrics(), most=most, poll_seconds=0.02, heartbeat_seconds=0.01)


async def waited(gate: WakeGate, seconds: float = 20) -> list[float]:
    return [signs async for signs in gate.wait(seconds)]


def test_a_question_is_held_for_longer_than_a_wake_takes() -> None:
    """9 min 24 s were measured for a small model; without anyone waiting the probing stops."""
    measured = 9 * 60 + 24
    assert RagSettings.model_fields["wake_hold_seconds"].default >= 2 * measured


def test_all_who_wait_go_on_when_one_probe_gets_through() -> None:
    async def scenario() -> None:
        model = Model(naps=3)
        before = gate(model.probe, most=50)
        signs = await asyncio.gather(*(waited(before) for _ in range(50)))
        assert model.asked == 4
        assert all(len(one) >= 2 and one == sorted(one) for one in signs)
        assert not before.model_sleeps

    asyncio.run(scenario())


def test_a_hitch_while_it_starts_is_not_the_end_of_the_wait() -> None:
    async def scenario() -> None:
        await waited(gate(Model(naps=2, says=EndpointUnavailable("refused")).probe))

    asyncio.run(scenario())


def test_an_endpoint_that_is_gone_lets_everybody_find_out() -> None:
    async def scenario() -> None:
        before = gate(Model(naps=99, says=EndpointNotFound("gone")).probe)
        await waited(before)
        assert not before.model_sleeps

    asyncio.run(scenario())


def test_patience_ends_with_a_sentence() -> None:
    async def scenario() -> None:
        before = gate(Model(naps=10_000).probe)
        with pytest.raises(NoCapacity, match="has waited"):
            await waited(before, seconds=0.05)
        await asyncio.sleep(0.1)
        assert not before.model_sleeps, "no request waits any more, so the model is not asked any more"

    asyncio.run(scenario())


def test_more_than_the_most_are_refused_at_once() -> None:
    async def scenario() -> None:
        before = gate(Model(naps=10_000).probe, most=2)
        holding = [asyncio.create_task(waited(before)) for _ in range(2)]
        await asyncio.sleep(0.05)
        with pytest.raises(NoCapacity, match="which is the most"):
            before.check()
        with pytest.raises(NoCapacity, match="which is the most"):
            await waited(before)
        before.close()
        assert all(isinstance(end, NoCapacity) for end in await asyncio.gather(*holding, return_exceptions=True))

    asyncio.run(scenario())


def test_a_service_that_stops_sends_them_away() -> None:
    async def scenario() -> None:
        before = gate(Model(naps=10_000).probe)
        holding = asyncio.create_task(waited(before))
        await asyncio.sleep(0.05)
        before.close()
        with pytest.raises(NoCapacity, match="being replaced"):
            await holding
        with pytest.raises(NoCapacity, match="being replaced"):
            await waited(before)

    asyncio.run(scenario())
