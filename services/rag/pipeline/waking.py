"""Holds requests while the model sleeps, so that a cold start is a wait and not an error.

An endpoint that is scaled to zero refuses the first invocation, and that refusal wakes it. This service then asks again
until the endpoint serves. One task asks for all waiting requests, so that they cost the endpoint as much as one.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from services.common.logging import concern_logger
from services.common.sagemaker import SLEEPING, EndpointUnavailable, InvocationError, InvocationTimeout, NoCapacity
from services.rag.conversation import Sampling, Status, Token
from services.rag.pipeline.generate import Generation, Generator
from services.rag.pipeline.prompt import Prompt
from services.rag.telemetry.metrics import Metrics

logger = concern_logger("llm")

POLL_SECONDS = 1.0
HEARTBEAT_SECONDS = 5.0
# While it starts, an endpoint may also be unreachable for some seconds. Any other error is returned to the callers.
_NOT_YET = (*SLEEPING, EndpointUnavailable, InvocationTimeout)


class WakeGate:
    """Lets requests wait for the model; for one event loop."""

    def __init__(
        self,
        probe: Callable[[], Awaitable[None]],
        metrics: Metrics,
        *,
        most: int,
        poll_seconds: float = POLL_SECONDS,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        """Start open.

        Args:
            probe: asks the model for a token; raises InvocationError.
            metrics: get the number of waiting requests.
            most: requests that may wait at the same time.
            poll_seconds: pause between two probes.
            heartbeat_seconds: time between two events of a waiting request.
        """
        self._probe = probe
        self._metrics = metrics
        self._most = most
        self._poll_seconds = poll_seconds
        self._heartbeat = heartbeat_seconds
        self._held = 0
        self._task: asyncio.Task[None] | None = None
        self._closed: str | None = None

    @property
    def model_sleeps(self) -> bool:
        """Whether the model is known to sleep."""
        return self._task is not None and not self._task.done()

    def check(self) -> None:
        """Check that one more request could wait, before any work is done for it.

        Raises:
            NoCapacity: the model sleeps and as many requests wait as may.
        """
        if self.model_sleeps and self._held >= self._most:
            self._metrics.count_shed("waking")
            raise NoCapacity(f"The model is waking up and {self._held} requests wait for it, which is the most.")

    async def wait(self, seconds: float) -> AsyncGenerator[float, None]:
        """Wait until the model serves; yields the seconds waited, at once and then at every heartbeat.

        Args:
            seconds: longest wait.

        Raises:
            NoCapacity: it still sleeps after that time, too many wait already, or the service stops.
        """
        if self._closed:
            raise NoCapacity(self._closed)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._poll(), name="wake-poll")
        self.check()
        began = time.monotonic()
        self._count(1)
        try:
            while self.model_sleeps:
                waited = time.monotonic() - began
                if waited >= seconds:
                    raise NoCapacity(f"The model is waking up; this request has waited {waited:.0f} s for it.")
                yield waited
                await asyncio.wait({self._task}, timeout=min(self._heartbeat, seconds - waited))
                if self._closed:
                    raise NoCapacity(self._closed)
        finally:
            self._count(-1)
            if not self._held and self._task is not None:
                self._task.cancel()  # no request waits any more

    def close(self) -> None:
        """Refuse all waiting requests: the service stops, and another process can hold them."""
        self._closed = "The model is waking up, and this service is being replaced: ask again."
        if self._task is not None:
            self._task.cancel()

    def _count(self, change: int) -> None:
        self._held += change
        self._metrics.set_held(self._held)

    async def _poll(self) -> None:
        began = time.monotonic()
        logger.info("the model sleeps or changes: holding requests")
        # With jitter: several processes of a service must not ask at the same time.
        await asyncio.sleep(self._pause())
        while True:
            try:
                await self._probe()
                break
            except _NOT_YET:
                await asyncio.sleep(self._pause())
            except InvocationError as error:
                logger.warning("the model did not wake", extra={"reason": str(error)})
                return
        logger.info("no longer holding requests", extra={"seconds": round(time.monotonic() - began, 1)})

    def _pause(self) -> float:
        return self._poll_seconds * random.uniform(0.75, 1.25)  # noqa: S311 - not a secret


class WakingGenerator:
    """A generator that waits for a sleeping LLM and asks again; safe for concurrent use on one event loop."""

    def __init__(self, generator: Generator, gate: WakeGate) -> None:
        self._generator = generator
        self._gate = gate

    async def stream(
        self, prompt: Prompt, generation: Generation, sampling: Sampling, wake_timeout_seconds: float
    ) -> AsyncGenerator[Status | Token, None]:
        """The answer's tokens, after `Status("waking")` events while the model sleeps. Closing it cancels the call.

        Args:
            prompt: what to send.
            generation: is filled.
            sampling: how to generate.
            wake_timeout_seconds: longest wait for a model that sleeps, in total.

        Raises:
            InvocationError: the LLM gave no complete answer; NoCapacity or EndpointUpdating when it did not wake.
        """
        began = time.monotonic()
        asleep = self._gate.model_sleeps
        while True:
            if asleep:
                async with aclosing(self._gate.wait(_remaining(began, wake_timeout_seconds))) as signs:
                    async for waited in signs:
                        yield Status("waking", round(waited, 1))
                generation.held_seconds = time.monotonic() - began
            try:
                async with aclosing(self._generator.stream(prompt, generation, sampling)) as texts:
                    async for text in texts:
                        yield Token(text)
            except SLEEPING:
                if _remaining(began, wake_timeout_seconds) <= 0:
                    raise
                asleep = True
            else:
                return


def _remaining(began: float, wake_timeout_seconds: float) -> float:
    return wake_timeout_seconds - (time.monotonic() - began)
