"""TCP proxy in front of a server that passes connections through, or shows callers a fault instead."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine
from typing import Any, Literal, get_args

from localcloud.ports import LOOPBACK

Fault = Literal["refused", "hanging", "failing"]
FAULTS: tuple[Fault, ...] = get_args(Fault)
"""Connections are refused; requests are read and never answered; every request is answered with 500."""
SWITCH_SECONDS = 10.0
_PIECE = 64 * 1024
_BODY = b'{"message": "Internal Server Error"}'
_ANSWER = b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(_BODY),
    _BODY,
)


class FaultProxy:
    """A proxy on a loopback port of its own, served by a thread; a context manager."""

    def __init__(self, port: int) -> None:
        """Reserve a port.

        Args:
            port: port of the server on this machine that is proxied.
        """
        self._target = port
        self._fault: Fault | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        # Bound and not listening, so that no other program gets the port while connections are refused.
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind((LOOPBACK, 0))
        self.port: int = self._reserved.getsockname()[1]

    @property
    def url(self) -> str:
        """Address of the proxy."""
        return f"http://{LOOPBACK}:{self.port}"

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        self._wait(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._wait(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SWITCH_SECONDS)
        self._loop.close()
        self._reserved.close()

    def switch(self, fault: Fault | None) -> None:
        """Show this fault from now on, or none; open connections are cut."""
        self._fault = fault
        self._wait(self._close())
        if fault != "refused":
            self._wait(self._listen())

    def _wait(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(SWITCH_SECONDS)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connection, LOOPBACK, self.port)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()

    async def _end(self) -> None:
        """Close, and let every connection's task end while there is a loop for it."""
        await self._close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if self._fault is None:
                await self._forward(reader, writer)
            elif self._fault == "failing":
                await _fail(reader, writer)
            else:
                while await reader.read(_PIECE):
                    pass
        except (OSError, asyncio.IncompleteReadError):
            pass  # either side closed the connection
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, out = await asyncio.open_connection(LOOPBACK, self._target)
        try:
            copies = {asyncio.create_task(_copy(reader, out)), asyncio.create_task(_copy(upstream, writer))}
            done, open_ = await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
            for copy in open_:
                copy.cancel()
            await asyncio.gather(*done, *open_, return_exceptions=True)
        finally:
            out.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE):
        writer.write(piece)
        await writer.drain()


async def _fail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request with 500; a request has a Content-Length or no body."""
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                await reader.readexactly(int(line.partition(b":")[2]))
        writer.write(_ANSWER)
        await writer.drain()
