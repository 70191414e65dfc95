"""Readiness checks of the dependencies: would each serve a request now?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import httpx
from botocore.exceptions import BotoCoreError, ClientError

from services.common.sagemaker import SLEEPING, InvocationError
from services.rag.errors import StoreUnavailable

CHECK_TIMEOUT_SECONDS = 5.0
# A check of the LLM asks it for a token, so a healthy state is cached for some seconds, and a bad one for one second.
OK_MAX_AGE_SECONDS = 10.0
DOWN_MAX_AGE_SECONDS = 1.0
LLM = "llm"
"""Name of the check that asks the model, and so wakes one that sleeps."""

Check = Callable[[], Awaitable[None]]


class CheckFailed(Exception):
    """A dependency would not serve a request now; the message is one sentence."""


@dataclass(frozen=True)
class State:
    """State of a dependency.

    Attributes:
        name: `asleep` is a model that serves later without intervention: the service holds requests for it until then.
        detail: one sentence about what is wrong; None when nothing is.
    """

    name: Literal["ok", "asleep", "down"]
    detail: str | None = None


OK = State("ok")


class Readiness:
    """State of all dependencies, checked concurrently and each cached for some seconds."""

    def __init__(self, checks: Mapping[str, Check], clock: Callable[[], float] = time.monotonic) -> None:
        self._checks = checks
        self._clock = clock
        self._lock = asyncio.Lock()
        self._known: dict[str, tuple[State, float]] = {}

    async def states(self, without: Collection[str] = ()) -> dict[str, State]:
        """State by dependency.

        Args:
            without: dependencies that are not asked and not in the answer.
        """
        names = [name for name in self._checks if name not in without]
        async with self._lock:
            due = [name for name in names if name not in self._known or self._clock() >= self._known[name][1]]
            found = await asyncio.gather(*(self._state(self._checks[name]) for name in due))
            for name, state in zip(due, found, strict=True):
                age = OK_MAX_AGE_SECONDS if state.name == "ok" else DOWN_MAX_AGE_SECONDS
                self._known[name] = state, self._clock() + age
            return {name: self._known[name][0] for name in names}

    @staticmethod
    async def _state(check: Check) -> State:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                await check()
        except TimeoutError:
            return State("down", f"No answer within {CHECK_TIMEOUT_SECONDS:g} s.")
        except SLEEPING as error:
            return State("asleep", str(error))
        except (CheckFailed, InvocationError, StoreUnavailable) as error:
            return State("down", str(error))
        return OK


def opik_check(url: str, client: httpx.AsyncClient) -> Check:
    """Build the check that Opik answers its ping."""

    async def check() -> None:
        try:
            response = await client.get(f"{url.rstrip('/')}/is-alive/ping")
        except httpx.HTTPError as error:
            raise CheckFailed(f"Opik cannot be reached ({type(error).__name__}).") from None
        if response.status_code != httpx.codes.OK:
            raise CheckFailed(f"Opik answered with status {response.status_code}.")

    return check


def queue_check(sqs: Any, queue_url: str, executor: ThreadPoolExecutor) -> Check:
    """Build the check that the samples queue exists and answers."""

    def read() -> None:
        try:
            sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
        except (BotoCoreError, ClientError) as error:
            raise CheckFailed(f"The samples queue does not answer ({type(error).__name__}).") from None

    async def check() -> None:
        await asyncio.get_running_loop().run_in_executor(executor, read)

    return check
