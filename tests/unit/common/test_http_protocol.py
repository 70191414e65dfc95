"""Half a request, and connections that say nothing, over real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import pytest

from services.common.http_protocol import HeadTimeoutProtocol
from tests.asgi_server import serving

HEAD_SECONDS = 0.6
IDLE_SECONDS = 3
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
HALF = b"GET / HTTP/1.1\r\nHost: loc"


class Impatient(HeadTimeoutProtocol):
    head_timeout_seconds = HEAD_SECONDS


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the path; `/slow` takes longer than a head may, `/refused` does not wait for the body."""
    if scope["path"] != "/refused":
        while (await receive()).get("more_body"):
            pass
    if scope["path"] == "/slow":
        await asyncio.sleep(2 * HEAD_SECONDS)
    body = scope["path"].encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    options = {"http": Impatient, "lifespan": "off", "timeout_keep_alive": IDLE_SECONDS}
    with serving(app, **options) as url:
        found = urlsplit(url)
        yield str(found.hostname), int(found.port or 0)


@contextmanager
def connected(address: tuple[str, int]) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=4 * IDLE_SECONDS) as connection:
        yield connection


def answered_first(connection: socket.socket, request: bytes) -> float:
    """Send a request, if there is one, and receive its answer; gives the time after it."""
    if request:
        connection.sendall(request)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    return time.monotonic()


def rest(connection: socket.socket) -> bytes:
    """All that comes until the server closes the connection; a byte that is on its way then resets it."""
    found = b""
    try:
        while part := connection.recv(4096):
            found += part
    except ConnectionResetError:
        if not found:
            raise
    return found


def drip(connection: socket.socket, data: bytes) -> None:
    """Send a byte at a time, each well within the limit of a head, until the server closes or all is sent."""
    for at in range(len(data)):
        try:
            connection.sendall(data[at : at + 1])
        except OSError:
            return
        time.sleep(HEAD_SECONDS / 4)


def half_a_head(connection: socket.socket) -> None:
    connection.sendall(HALF)


def a_dripping_head(connection: socket.socket) -> None:
    threading.Thread(target=drip, args=(connection, GET), daemon=True).start()


def half_a_request_line(connection: socket.socket) -> None:
    connection.sendall(b"GE")


@pytest.mark.parametrize("begin", [half_a_head, a_dripping_head, half_a_request_line])
@pytest.mark.parametrize("first", [b"", GET], ids=["on a new connection", "after an answer"])
def test_a_head_that_does_not_arrive_is_answered_408(
    address: tuple[str, int], begin: Callable[[socket.socket], None], first: bytes
) -> None:
    with connected(address) as connection:
        began = answered_first(connection, first)
        begin(connection)
        answer = rest(connection)
        took = time.monotonic() - began
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n") and b"connection: close\r\n" in answer
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-length: %d" % len(body) in head
    assert HEAD_SECONDS * 0.9 < took < IDLE_SECONDS


EMPTY_LINE = b"\r\n"
POST_REFUSED = b"POST /refused HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"


@pytest.mark.parametrize(
    ("first", "then"),
    [(GET, EMPTY_LINE), (b"", EMPTY_LINE), (POST_REFUSED, b"x" * 20)],
    ids=["an empty line between requests", "an empty line first", "the body of a refused request"],
)
def test_bytes_that_are_no_request_do_not_hold_a_connection(
    address: tuple[str, int], first: bytes, then: bytes
) -> None:
    with connected(address) as connection:
        began = answered_first(connection, first)
        threading.Thread(target=drip, args=(connection, then), daemon=True).start()
        with suppress(ConnectionResetError):  # closed while more of the body was on its way
            assert rest(connection) == b""
        assert HEAD_SECONDS * 0.9 < time.monotonic() - began < IDLE_SECONDS


def test_a_connection_that_says_nothing_is_closed_as_an_idle_one_is(address: tuple[str, int]) -> None:
    with connected(address) as connection:
        began = time.monotonic()
        assert rest(connection) == b""
        assert IDLE_SECONDS * 0.9 < time.monotonic() - began < 2 * IDLE_SECONDS


@pytest.mark.parametrize(
    "request_bytes",
    [GET, POST_REFUSED + b"x" * 1000],
    ids=["after a request", "after a request that was answered before its body came"],
)
def test_an_idle_connection_is_kept_longer_than_a_head_may_take(address: tuple[str, int], request_bytes: bytes) -> None:
    with connected(address) as connection:
        for _ in range(3):
            connection.sendall(request_bytes[:80])
            time.sleep(HEAD_SECONDS / 4)
            connection.sendall(request_bytes[80:])
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
            time.sleep(2 * HEAD_SECONDS)
        connection.sendall(GET)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        assert rest(connection) == b""
        assert time.monotonic() - began > IDLE_SECONDS * 0.9


def test_an_answer_is_not_disturbed_by_half_of_the_next_request(address: tuple[str, int]) -> None:
    slow = GET.replace(b"GET /", b"GET /slow")
    with connected(address) as connection:
        connection.sendall(slow + GET + slow + HALF)
        answers = rest(connection)
    assert answers.count(b"HTTP/1.1 200") == 3
    assert answers.count(b"/slow") == 2
    assert answers.rstrip().endswith(b"did not arrive in time.") and answers.count(b"HTTP/1.1 408") == 1


def test_half_open_connections_do_not_keep_others_out(address: tuple[str, int]) -> None:
    halves = [socket.create_connection(address, timeout=10) for _ in range(300)]
    try:
        for connection in halves:
            connection.sendall(HALF)
        for _ in range(20):
            with connected(address) as connection:
                began = time.monotonic()
                connection.sendall(GET)
                assert connection.recv(4096).startswith(b"HTTP/1.1 200")
                assert time.monotonic() - began < 1
        assert all(b"408" in rest(connection) for connection in halves)
    finally:
        for connection in halves:
            connection.close()
