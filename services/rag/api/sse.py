"""Server-Sent Events, and work that ends when the caller goes away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.rag.api.errors import describe
from services.rag.pipeline.events import Done, Event, Sources, Status
from services.rag.pipeline.rag import ClientDisconnected

T = TypeVar("T")


def encode(event: Event) -> bytes:
    """An event of the pipeline on the wire."""
    if isinstance(event, Status):
        return frame("status", {"state": event.state})
    if isinstance(event, Sources):
        return frame("sources", {"sources": event.sources})
    if isinstance(event, Done):
        return frame(
            "done",
            {"trace_id": event.trace_id, "model": event.model, "usage": event.usage, "timings": event.timings},
        )
    return frame("token", {"text": event.text})


def frame(name: str, data: dict[str, Any]) -> bytes:
    """One Server-Sent Event; JSON never holds a raw line end, so one data line is enough."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


class EventStreamResponse(Response):
    """Streams the pipeline's events; cancels it when its caller goes away; its failure becomes an `error` event."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[Event, None], headers: Mapping[str, str]) -> None:
        # A proxy that buffers would turn a stream into a late answer.
        headers = {**headers, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(None, 200, dict(headers))
        self._events = events
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            await unless_disconnected(receive, self._body(send))
        except ClientDisconnected:
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _body(self, send: Send) -> None:
        async with aclosing(self._events) as events:
            try:
                async for event in events:
                    await send({"type": "http.response.body", "body": encode(event), "more_body": True})
            except Exception as error:  # noqa: BLE001 - described, logged, one shape
                body = frame("error", describe(error).body())
                await send({"type": "http.response.body", "body": body, "more_body": True})


async def unless_disconnected(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled when the caller goes away first.

    Raises:
        ClientDisconnected: the caller went away.
    """
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnect(receive))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnected("The caller went away before the answer was complete.")
    finally:
        await _cancelled(working, gone)


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancelled(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    waiting: Awaitable[Any] = asyncio.gather(*tasks, return_exceptions=True)
    await waiting
