"""Readiness checks of the dependencies: would each serve a request now?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from botocore.exceptions import BotoCoreError, ClientError

from services.common.sagemaker import InvocationError
from services.rag.errors import StoreUnavailable

CHECK_TIMEOUT_SECONDS = 5.0
# A check of the LLM asks it for a token, so a healthy state is cached for some seconds, and a bad one for one second.
OK_MAX_AGE_SECONDS = 10.0
DOWN_MAX_AGE_SECONDS = 1.0

Check = Callable[[], Awaitable[None]]


class CheckFailed(Exception):
    """A dependency would not serve a request now; the message is one sentence."""


class Readiness:
    """State of all dependencies, checked concurrently and cached for some seconds."""

    def __init__(self, checks: Mapping[str, Check], clock: Callable[[], float] = time.monotonic) -> None:
        self._checks = checks
        self._clock = clock
        self._lock = asyncio.Lock()
        self._known: dict[str, str | None] = {}
        self._until = 0.0

    async def states(self) -> dict[str, str | None]:
        """Dependency -> None when it is ready, else one sentence about what is wrong."""
        async with self._lock:
            if not self._known or self._clock() >= self._until:
                found = await asyncio.gather(*(self._state(check) for check in self._checks.values()))
                self._known = dict(zip(self._checks, found, strict=True))
                healthy = all(state is None for state in found)
                self._until = self._clock() + (OK_MAX_AGE_SECONDS if healthy else DOWN_MAX_AGE_SECONDS)
            return self._known

    @staticmethod
    async def _state(check: Check) -> str | None:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                await check()
        except TimeoutError:
            return f"No answer within {CHECK_TIMEOUT_SECONDS:g} s."
        except (CheckFailed, InvocationError, StoreUnavailable) as error:
            return str(error)
        return None


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
