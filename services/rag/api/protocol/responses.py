"""Responses with an answer, as a stream or in one piece; the work ends when the caller goes away or stops reading."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Coroutine, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Any, Protocol, TypeVar

from fastapi import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from services.rag.api.protocol.errors import ApiError, describe, note_failure
from services.rag.conversation import ClientDisconnected, Event, Status

T = TypeVar("T")

# A caller that reads nothing for so long is gone or malicious, and occupies the model.
SEND_TIMEOUT_SECONDS = 30.0
# How long the states of an answer wait for its first token, so that a failure before it has its own status. Longer
# than retrieval and a first token usually take; a caller who sees nothing for longer loses attention (Nielsen,
# Usability Engineering, 1993, chapter 5).
HOLD_SECONDS = 1.0


class Codec(Protocol):
    """Encodes the pipeline's events for one interface; one instance per stream."""

    def encode(self, event: Event) -> bytes:
        """Encode an event; empty when the interface does not have it."""
        ...

    def fail(self, error: ApiError) -> bytes:
        """Encode an error that happened after the stream began."""
        ...


class EventStreamResponse(Response):
    """Streams the pipeline's events and cancels it when its caller goes away.

    The head is sent with the first bytes of the codec: an error before them is answered with its own status, an error
    after them is encoded by the codec. The states `retrieving` and `generating` are held back for a moment, until there
    is something else to say.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncGenerator[Event, None],
        headers: Mapping[str, str],
        codec: Codec,
        send_timeout_seconds: float = SEND_TIMEOUT_SECONDS,
        hold_seconds: float = HOLD_SECONDS,
    ) -> None:
        # A proxy that buffers would turn a stream into a late answer.
        super().__init__(None, 200, {**headers, "Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._events = events
        self._error_headers = dict(headers)
        self._codec = codec
        self._send_timeout = send_timeout_seconds
        self._started = False
        self._hold_seconds = hold_seconds
        self._holds = True
        self._held = b""
        # The end of the hold writes from a task of its own.
        self._writing = asyncio.Lock()
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream.

        Raises:
            ClientDisconnected: the caller went away, or did not read.
        """
        await unless_disconnected(receive, self._watched(scope, receive, send))

    async def _watched(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with _SlowReader(self._send_timeout) as watch:
            hold = asyncio.ensure_future(self._end_hold(send, watch))
            try:
                await self._body(scope, receive, send, watch)
            finally:
                # Not awaited: after the last bytes the server reports a disconnect, which must not come first.
                hold.cancel()

    async def _body(self, scope: Scope, receive: Receive, send: Send, watch: _SlowReader) -> None:
        async with aclosing(self._events) as events:
            try:
                async for event in events:
                    data = self._codec.encode(event)
                    if self._holds and isinstance(event, Status) and event.state != "waking":
                        self._held += data
                    elif data:
                        await self._write(send, data, watch)
            except ClientDisconnected:
                raise
            except Exception as error:  # noqa: BLE001 - described, logged, one shape
                described = describe(error)
                if await self._refused(described, scope, receive, send):
                    return
                note_failure(scope, described)
                await self._write(send, self._codec.fail(described), watch)
        await self._write(send, b"", watch, more=False)

    async def _refused(self, error: ApiError, scope: Scope, receive: Receive, send: Send) -> bool:
        """Answer an error with its own status, unless the stream has begun."""
        async with self._writing:
            if self._started:
                return False
            self._started, self._holds, self._held = True, False, b""
            response = error.response()
            response.headers.update(self._error_headers)
            await response(scope, receive, send)
            return True

    async def _end_hold(self, send: Send, watch: _SlowReader) -> None:
        await asyncio.sleep(self._hold_seconds)
        self._holds = False
        if self._held:
            await self._write(send, b"", watch)

    async def _write(self, send: Send, data: bytes, watch: _SlowReader, *, more: bool = True) -> None:
        """Write what was held back, and then `data`."""
        async with self._writing:
            data, self._held, self._holds = self._held + data, b"", False
            watch.begin()
            if not self._started:
                self._started = True
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if data or not more:
                await send({"type": "http.response.body", "body": data, "more_body": more})
            watch.end()


async def json_answer(
    request: Request, work: Coroutine[Any, Any, dict[str, Any]], headers: Mapping[str, str]
) -> Response:
    """Send an answer in one piece, or the error that came instead, with the headers in either case.

    Args:
        request: whose disconnect cancels the work.
        work: makes the body.
        headers: go with every response.

    Raises:
        ClientDisconnected: the caller went away.
    """
    try:
        body = await unless_disconnected(request.receive, work)
    except ClientDisconnected:
        raise
    except Exception as error:  # noqa: BLE001 - described, logged, one shape; the trace id goes with it
        response = describe(error).response()
        response.headers.update(headers)
        return response
    return JSONResponse(body, headers=dict(headers))


class _SlowReader:
    """Ends the task when one write takes longer than `seconds`; a context manager.

    A timer per write would cost more than the write. One timer fires when the current write could be late, and is set
    again while none is.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._limit = asyncio.timeout(None)
        self._since: float | None = None
        self._timer = self._loop.call_later(seconds, self._check_write)

    async def __aenter__(self) -> _SlowReader:
        await self._limit.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        try:
            await self._limit.__aexit__(kind, error, traceback)
        except TimeoutError:
            raise ClientDisconnected(f"The caller read nothing for {self._seconds:g} s.") from None

    def begin(self) -> None:
        """Note that a write begins."""
        self._since = self._loop.time()

    def end(self) -> None:
        """Note that the write is done."""
        self._since = None

    def _check_write(self) -> None:
        now = self._loop.time()
        due = (now if self._since is None else self._since) + self._seconds
        if due <= now:
            self._limit.reschedule(now)
        else:
            self._timer = self._loop.call_at(due, self._check_write)


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
