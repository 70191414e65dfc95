"""A caller that stops reading ends its stream; one that reads slowly but steadily does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest

from services.rag.api.protocol.rag_codec import EventCodec
from services.rag.api.protocol.responses import EventStreamResponse
from services.rag.conversation import ClientDisconnected, Event, Token

SECONDS = 0.4


async def never() -> Any:
    await asyncio.Event().wait()


class Stream:
    """A stream of tokens, and what became of it."""

    def __init__(self, count: int, pause: float = 0) -> None:
        self.sent: list[bytes] = []
        self.closed = False
        self._count = count
        self._pause = pause

    async def _events(self) -> AsyncGenerator[Event, None]:
        try:
            for number in range(self._count):
                await asyncio.sleep(self._pause)
                yield Token(f"t{number}")
        finally:
            self.closed = True

    async def run(self, read: Callable[[int], Awaitable[None]]) -> None:
        async def send(message: Any) -> None:
            self.sent.append(message.get("body", b""))
            await read(len(self.sent))

        response = EventStreamResponse(self._events(), {}, EventCodec(), send_timeout_seconds=SECONDS)
        await response({"type": "http"}, never, send)


async def test_a_caller_that_stops_reading_ends_the_stream() -> None:
    stream = Stream(10)

    async def read(number: int) -> None:
        if number == 4:
            await never()

    started = asyncio.get_running_loop().time()
    with pytest.raises(ClientDisconnected, match="read nothing"):
        await stream.run(read)
    assert asyncio.get_running_loop().time() - started >= SECONDS
    assert stream.closed
    assert len(stream.sent) == 4


async def test_slow_writes_and_long_silence_of_the_model_do_not() -> None:
    stream = Stream(3, pause=SECONDS * 1.5)

    async def read(number: int) -> None:
        await asyncio.sleep(SECONDS / 4)

    await stream.run(read)
    assert b"".join(stream.sent).count(b"event: token") == 3
    assert stream.closed


async def test_a_time_limit_inside_the_pipeline_is_not_taken_for_the_caller() -> None:
    async def late() -> AsyncGenerator[Event, None]:
        yield Token("a")
        raise TimeoutError("the model")

    sent: list[bytes] = []

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))

    await EventStreamResponse(late(), {}, EventCodec(), send_timeout_seconds=SECONDS)({"type": "http"}, never, send)
    assert b"event: error" in b"".join(sent)
