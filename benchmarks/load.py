"""`python -m benchmarks.load`: the load generator, a process that reads a `Plan` as JSON from standard input.

Closed loop: a fixed number of users, each of whom asks the next question when the last answer is complete. They start
spread over one ideal answer, so that their tokens do not arrive in step. `LoadResult` is written to standard output as
JSON. Times are taken when bytes arrive from the socket, in milliseconds from the moment the request is written.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import uvloop

ANSWER_SECONDS = 120.0
"""Timeout of one answer."""
LOST = "connection lost"


@dataclass(frozen=True)
class Plan:
    """Requests of one measurement.

    Attributes:
        kind: "rag" (`POST /rag` streamed), "openai" (`POST /v1/chat/completions` streamed), "json" (an answer in one
            piece), "direct" (InvokeEndpointWithResponseStream through the service's own client library) or "threaded"
            (the same through the client of `baselines.threaded_client`).
        url: address of the server, or of the SageMaker runtime for a client library.
        body: the request's JSON; for a client library the chat completion request.
        users: requests in flight.
        requests: maximum number of measured answers.
        tokens: number of token events of a correct answer; 0 accepts any number.
        spread_ms: time over which users start, in milliseconds.
        path: path of the POST, unless a client library is used.
        key: bearer key.
        endpoint: endpoint name, for a client library.
        warm: whether every user asks once before the measurement.
        seconds: time after which no further question is asked; 0 for no limit.
    """

    kind: str
    url: str
    body: dict[str, Any]
    users: int
    requests: int
    tokens: int
    spread_ms: float
    path: str = "/rag"
    key: str = ""
    endpoint: str = ""
    warm: bool = True
    seconds: float = 0.0


@dataclass
class LoadResult:
    """Measured values. Lists hold one value per correct answer, `gap_ms` one per pair of consecutive token events.

    Attributes:
        total_ms: time from the request to the complete answer.
        ttft_ms: time from the request to the first token event; empty for answers in one piece.
        gap_ms: time between token events.
        seconds: time from the first measured request to the end of the last one.
        cpu_seconds: processor time of this process.
        errors: number of wrong answers by reason.
    """

    total_ms: list[float] = field(default_factory=list)
    ttft_ms: list[float] = field(default_factory=list)
    gap_ms: list[float] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    errors: dict[str, int] = field(default_factory=dict)


@dataclass
class Answer:
    """Times of one answer (`time.perf_counter()`), and why it is wrong, if it is."""

    started: float
    tokens: list[float] = field(default_factory=list)
    ended: float = 0.0
    problem: str = ""


Ask = Callable[[], Awaitable[Answer]]


class HttpUser(asyncio.Protocol):
    """One user on a keep-alive connection; parses only what the measured servers send."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._count = _token_counter(plan.kind)
        self._done = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._head = b""
        self._length: int | None = None
        self._rest = b""
        self._status = 0
        self._answer = Answer(0.0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for requests."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the answer in progress as lost; the next request opens a new connection."""
        self._transport = None
        self._finish(LOST)

    async def ask(self) -> Answer:
        """Send one request and wait for the end of its answer.

        It is repeated once when the server closed the idle connection at the same moment.
        """
        answer = await self._ask()
        return await self._ask() if answer.problem == LOST and not self._head else answer

    async def _ask(self) -> Answer:
        loop = asyncio.get_running_loop()
        address = urlsplit(self._plan.url)
        if self._transport is None:
            await loop.create_connection(lambda: self, address.hostname or "", address.port or 80)
        content = json.dumps(self._plan.body).encode()
        request = (
            f"POST {self._plan.path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {self._plan.key}\r\nContent-Length: {len(content)}\r\n\r\n"
        ).encode()
        self._head, self._length, self._rest, self._status = b"", None, b"", 0
        self._done = loop.create_future()
        self._answer = Answer(time.perf_counter())
        assert self._transport is not None  # noqa: S101 - for the type checker
        self._transport.write(request + content)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._done
        except TimeoutError:
            self._answer.problem = "timeout"
            if self._transport is not None:
                self._transport.abort()
        return self._answer

    def data_received(self, data: bytes) -> None:
        """Record the time of every token event in `data`, and end the answer when it is complete."""
        now = time.perf_counter()
        if not self._status:
            data = self._read_head(data)
        if not self._status:
            return
        found, self._rest = self._count(self._rest + data)
        self._answer.tokens.extend([now] * found)
        if self._length is None:
            # JSON escapes line ends, so these bytes occur only at the end of a chunked body.
            ended = self._rest.endswith(b"0\r\n\r\n")
        else:
            self._length -= len(data)
            ended = self._length <= 0
        if ended:
            self._answer.ended = now
            self._finish("" if self._status == 200 else f"status {self._status}")

    def _read_head(self, data: bytes) -> bytes:
        self._head += data
        head, separator, rest = self._head.partition(b"\r\n\r\n")
        if separator:
            self._status = int(head.split(b" ", 2)[1])
            for line in head.lower().split(b"\r\n")[1:]:
                if line.startswith(b"content-length:"):
                    self._length = int(line.partition(b":")[2])
        return rest

    def _finish(self, problem: str) -> None:
        if not self._done.done():
            self._answer.problem = problem
            self._done.set_result(None)


def _token_counter(kind: str) -> Callable[[bytes], tuple[int, bytes]]:
    """Function that counts the token events in complete lines; it also returns the incomplete last line."""
    mark, empty = {
        "rag": (b"event: token", b"\0"),
        "openai": (b'"content":', b'"content":""'),
        "json": (b"\0", b"\0"),
    }[kind]

    def count(data: bytes) -> tuple[int, bytes]:
        """Number of token events in the complete lines of `data`, and the rest."""
        lines, _, rest = data.rpartition(b"\n")
        # Some servers write a space after the colon, some do not.
        lines = lines.replace(b'"content": ', b'"content":')
        # The end of a chunked body is a line end; the bytes before it are kept, so that it is recognised.
        return lines.count(mark) - lines.count(empty), rest or data[-5:]

    return count


def http_users(plan: Plan) -> list[Ask]:
    """One function per user that sends a request on the user's own connection."""
    return [HttpUser(plan).ask for _ in range(plan.users)]


def library_users(plan: Plan) -> list[Ask]:
    """One function per user that invokes the endpoint with the service's client library or the threaded baseline."""
    from benchmarks.baselines import threaded_client
    from services.common.sagemaker import InvocationError, SageMakerChat

    kind: Any = SageMakerChat if plan.kind == "direct" else threaded_client.SageMakerChat
    client = kind(plan.endpoint, timeout_seconds=ANSWER_SECONDS, concurrency=max(plan.users, 8))

    async def ask() -> Answer:
        """One streamed answer; its problem is the class of the client's error."""
        answer = Answer(time.perf_counter())
        try:
            async for chunk in client.stream(plan.body):
                if chunk.text:
                    answer.tokens.append(time.perf_counter())
        except InvocationError as error:
            answer.problem = type(error).__name__
        answer.ended = time.perf_counter()
        return answer

    return [ask] * plan.users


async def run(plan: Plan) -> LoadResult:
    """Run the plan."""
    askers = library_users(plan) if plan.kind in {"direct", "threaded"} else http_users(plan)
    left = iter(range(plan.requests))
    result = LoadResult()
    started = [0.0, 0.0]
    warm = asyncio.Barrier(plan.users)

    async def user(ask: Ask, delay: float) -> None:
        """Ask until no request or time is left; starts after `delay` seconds, and again after all have warmed up."""
        await asyncio.sleep(delay)
        if plan.warm:
            await ask()
        await warm.wait()
        if not started[0]:
            started[:] = [time.perf_counter(), time.process_time()]
        await asyncio.sleep(delay)
        for _ in left:
            if plan.seconds and time.perf_counter() - started[0] > plan.seconds:
                return
            _record(result, await ask(), plan)

    pause = plan.spread_ms / 1000
    delays = [pause * (number + random.random()) / plan.users for number in range(plan.users)]  # noqa: S311
    await asyncio.gather(*(user(ask, delay) for ask, delay in zip(askers, delays, strict=True)))
    result.seconds = time.perf_counter() - started[0]
    result.cpu_seconds = time.process_time() - started[1]
    return result


def _record(result: LoadResult, answer: Answer, plan: Plan) -> None:
    problem = answer.problem
    if not problem and plan.tokens and len(answer.tokens) != plan.tokens:
        problem = f"{len(answer.tokens)} tokens instead of {plan.tokens}"
    if problem:
        result.errors[problem] = result.errors.get(problem, 0) + 1
        return
    result.total_ms.append((answer.ended - answer.started) * 1000)
    if answer.tokens:
        result.ttft_ms.append((answer.tokens[0] - answer.started) * 1000)
        pairs = zip(answer.tokens, answer.tokens[1:], strict=False)
        result.gap_ms.extend(round((b - a) * 1000, 3) for a, b in pairs)


def main() -> None:
    """Read the plan from standard input, run it, write the result to standard output."""
    plan = Plan(**json.load(sys.stdin))
    json.dump(asdict(uvloop.run(run(plan))), sys.stdout)


if __name__ == "__main__":
    main()
