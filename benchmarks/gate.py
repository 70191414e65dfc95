"""A gate in front of a server: lets connections through, or shows callers a server that is ill."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine
from typing import Any, Literal, get_args

Fault = Literal["refused", "hanging", "failing"]
FAULTS: tuple[Fault, ...] = get_args(Fault)
"""Nobody listens; connections are taken and requests read, but nothing is answered; every answer is a 500."""
SWITCH_SECONDS = 10.0
_PIECE = 64 * 1024
_BODY = b'{"message": "Internal Server Error"}'
_ANSWER = b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(_BODY),
    _BODY,
)


class Gate:
    """A TCP gate on a loopback port of its own, served by a thread; a context manager."""

    def __init__(self, port: int) -> None:
        """`port`: of the server on this machine behind the gate."""
        self._target = port
        self._fault: Fault | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gate", daemon=True)
        # Bound but not listening: while connections are refused, nobody else is given the port.
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(("127.0.0.1", 0))
        self.port: int = self._held.getsockname()[1]

    @property
    def url(self) -> str:
        """Address of the gate."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Gate:
        self._thread.start()
        self._wait(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._wait(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SWITCH_SECONDS)
        self._loop.close()
        self._held.close()

    def switch(self, fault: Fault | None) -> None:
        """From now on show this fault, or none; connections that are open are cut."""
        self._fault = fault
        self._wait(self._shut())
        if fault != "refused":
            self._wait(self._listen())

    def _wait(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(SWITCH_SECONDS)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", self.port)

    async def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if self._fault is None:
                await self._through(reader, writer)
            elif self._fault == "failing":
                await _fail(reader, writer)
            else:
                while await reader.read(_PIECE):
                    pass
        except (OSError, asyncio.IncompleteReadError):
            pass  # either side went away
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, out = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            ways = {asyncio.create_task(_pass_on(reader, out)), asyncio.create_task(_pass_on(upstream, writer))}
            done, open_ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in open_:
                way.cancel()
            await asyncio.gather(*done, *open_, return_exceptions=True)
        finally:
            out.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE):
        writer.write(piece)
        await writer.drain()


async def _fail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request after the other, each with a Content-Length or without a body."""
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                await reader.readexactly(int(line.partition(b":")[2]))
        writer.write(_ANSWER)
        await writer.drain()
