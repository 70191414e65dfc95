"""uvicorn's HTTP protocol with a time limit for the head of a request, which uvicorn does not have."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

HEAD_TIMEOUT_SECONDS = 10.0
"""From the first byte of a request until its head is complete. A head is a packet or two."""

_TOO_LATE = b"The request's head did not arrive in time."


class HeadTimeoutProtocol(HttpToolsProtocol):
    """Closes connections that begin a request and do not go on, and connections that never send anything.

    uvicorn stops its idle timer with any byte and starts it again only after an answer, so that half a head, an empty
    line between two requests, or the rest of a body that was refused holds a connection for ever. Here one of these
    always runs while no request is being answered: the idle timer (`timeout_keep_alive`), or the timer of the head. A
    head that is late is answered with 408. The body's time is the application's to limit.
    """

    head_timeout_seconds = HEAD_TIMEOUT_SECONDS

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head_timer: asyncio.TimerHandle | None = None
        self._in_head = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        self._start_idle_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self._stop_head_timer()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes have arrived."""
        if self._head_timer is None and not self._answering:
            self._start_head_timer()
        super().data_received(data)

    def on_message_begin(self) -> None:
        """The first byte of a request has arrived."""
        super().on_message_begin()
        self._in_head = True
        self._unset_keepalive_if_required()
        if self._head_timer is None:
            self._start_head_timer()

    def on_headers_complete(self) -> None:
        """The head of a request is complete."""
        self._in_head = False
        self._stop_head_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body of a request is complete; the request may have been refused before."""
        super().on_message_complete()
        if not self._answering:
            self._stop_head_timer()
            self._unset_keepalive_if_required()
            self._start_idle_timer()

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _start_idle_timer(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(self.head_timeout_seconds, self._head_is_late)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.transport.is_closing():
            return
        if self._answering:
            # The next request of a pipeline: its head may wait, unread, until this answer is complete.
            self._start_head_timer()
            return
        if self._in_head:
            length = str(len(_TOO_LATE)).encode()
            fields = (b"content-type: text/plain; charset=utf-8", b"content-length: " + length, b"connection: close")
            self.transport.write(STATUS_LINE[408] + b"\r\n".join((*fields, b"", _TOO_LATE)))
        self.transport.close()
