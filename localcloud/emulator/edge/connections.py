"""Connections to targets that a load balancer keeps, and closes that it has not noticed yet.

On AWS a target may close an idle connection while the next request is on its way
(https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html). On a loopback
address that moment is too short to be met. So a close is noticed here `UNNOTICED_SECONDS` after it: a request of that
time goes out on the closed connection and is lost, as one that crosses the close does on AWS.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from httpcore import (
    AsyncNetworkBackend,
    AsyncNetworkStream,
    ConnectError,
    ConnectTimeout,
    ReadError,
    ReadTimeout,
    WriteError,
    WriteTimeout,
)

UNNOTICED_SECONDS = 1.0
"""AWS gives no figure: it is the way of a packet. Long enough here that a test meets it."""


class TargetNetwork(AsyncNetworkBackend):
    """httpcore's way to plain TCP targets."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface, here and below
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> AsyncNetworkStream:
        """Connect within `timeout` seconds.

        Raises:
            ConnectTimeout: the target did not answer.
            ConnectError: it refused.
        """
        loop = asyncio.get_running_loop()
        reader = _Reader(loop=loop)
        try:
            async with asyncio.timeout(timeout):
                transport, protocol = await loop.create_connection(
                    lambda: asyncio.StreamReaderProtocol(reader, loop=loop), host, port
                )
        except TimeoutError as error:
            raise ConnectTimeout(str(error)) from error
        except OSError as error:
            raise ConnectError(str(error)) from error
        return _Stream(reader, asyncio.StreamWriter(transport, protocol, reader, loop))


class _Reader(asyncio.StreamReader):
    """A stream reader that knows since when the other side has closed."""

    closed_at: float | None = None

    def feed_eof(self) -> None:
        """Note the end of the stream, or the loss of the connection."""
        self._note()
        super().feed_eof()

    def set_exception(self, exc: Exception) -> None:
        """Note the loss of the connection."""
        self._note()
        super().set_exception(exc)

    def _note(self) -> None:
        if self.closed_at is None:
            self.closed_at = time.monotonic()


class _Stream(AsyncNetworkStream):
    def __init__(self, reader: _Reader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """At most `max_bytes`; none at the end of the stream."""
        try:
            async with asyncio.timeout(timeout):
                return await self._reader.read(max_bytes)
        except TimeoutError as error:
            raise ReadTimeout(str(error)) from error
        except OSError as error:
            raise ReadError(str(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Send all of `buffer`."""
        try:
            self._writer.write(buffer)
            async with asyncio.timeout(timeout):
                await self._writer.drain()
        except TimeoutError as error:
            raise WriteTimeout(str(error)) from error
        except OSError as error:
            raise WriteError(str(error)) from error

    async def aclose(self) -> None:
        """Close, without a wait for what was not sent."""
        self._writer.transport.abort()

    def get_extra_info(self, info: str) -> Any:
        """httpcore asks for `is_readable` before it uses an idle connection again: readable means closed."""
        if info != "is_readable":
            return None
        closed_at = self._reader.closed_at
        return closed_at is not None and time.monotonic() - closed_at > UNNOTICED_SECONDS
