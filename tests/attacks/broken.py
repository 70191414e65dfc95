"""A server with each fault that the attacks look for, to show that they find it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socketserver
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tests.attacks.service import EVE, KEY

SLEEP_SECONDS = 0.4
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
Handler = Callable[[Request], Awaitable[Response]]


def _refusal() -> Response:
    return JSONResponse({"error": "no key"}, 401)


async def lets_in(_: Request) -> Response:
    return JSONResponse({"open": True})


async def any_case(request: Request) -> Response:
    """Takes a key in any case."""
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    return JSONResponse({}) if given.lower() == KEY else _refusal()


async def repeats_the_key(request: Request) -> Response:
    return Response(status_code=401, headers={"X-Given": request.headers.get("authorization", "")[:500].split(" ")[-1]})


async def stands_still(request: Request) -> Response:
    """Stops the event loop for long bodies."""
    if len(await request.body()) > 30_000:
        time.sleep(SLEEP_SECONDS)  # noqa: ASYNC251 - the fault
    return JSONResponse({}, 422)


async def slow(request: Request) -> Response:
    """Takes long for long bodies, and lets others be served."""
    if len(await request.body()) > 30_000:
        await asyncio.sleep(SLEEP_SECONDS)
    return JSONResponse({}, 422)


async def fails(request: Request) -> Response:
    """Answers bytes that are no text with an error of the server."""
    (await request.body()).decode()
    return JSONResponse({}, 422)


async def shows_its_stack(request: Request) -> Response:
    try:
        await request.json()
    except ValueError:
        return PlainTextResponse(traceback.format_exc(), 422)
    return JSONResponse({}, 422)


async def other_tenant(_: Request) -> Response:
    return JSONResponse({"sources": [{"author": EVE}]})


def one_more(limit: int) -> Handler:
    """Lets one request too many pass."""
    numbers = itertools.count()

    async def answer(_: Request) -> Response:
        return JSONResponse({}, 422 if next(numbers) <= limit else 429)

    return answer


def app(path: str, handler: Handler) -> Starlette:
    """A server that keeps its rules, but for what a handler does at a path, or at every path for `/{rest:path}`."""

    async def refuse(_: Request) -> Response:
        return _refusal()

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    routes = [("/healthz", health), (path, handler), ("/{rest:path}", refuse)]
    return Starlette(routes=[Route(route, found, methods=METHODS) for route, found in routes])


class _AnswersHidden(socketserver.BaseRequestHandler):
    """Answers a request wherever it stands in what a caller sent."""

    def handle(self) -> None:
        said = b"process_open_fds 1\n" if b"GET /metrics" in self.request.recv(65536) else b"no"
        self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said))


class _HangsUp(socketserver.BaseRequestHandler):
    """Reads a request and closes."""

    def handle(self) -> None:
        self.request.recv(65536)


class _Keeps(socketserver.BaseRequestHandler):
    """Answers before it has read anything, and keeps the connection."""

    ended = threading.Event()

    def handle(self) -> None:
        self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        self.ended.wait()


def answering_hidden_requests() -> AbstractContextManager[str]:
    """The address of a server that answers hidden requests."""
    return _tcp(_AnswersHidden)


def hanging_up() -> AbstractContextManager[str]:
    """The address of a server that answers nothing."""
    return _tcp(_HangsUp)


def keeping_connections() -> AbstractContextManager[str]:
    """The address of a server that answers and then closes no connection until it is stopped itself."""
    return _tcp(_Keeps)


@contextlib.contextmanager
def _tcp(handler: type[socketserver.BaseRequestHandler]) -> Iterator[str]:
    _Keeps.ended.clear()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            _Keeps.ended.set()
