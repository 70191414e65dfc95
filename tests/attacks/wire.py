"""Requests as bytes over a socket, and what is wrong with an answer."""

from __future__ import annotations

import contextlib
import email
import http.client
import socket
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.attack_figures import Tally

CALLERS = 8
PATIENCE_SECONDS = 60.0
"""How long an answer is waited for: longer than any machine stands still."""
LIMIT_SECONDS = 20.0
"""An answer that takes longer is a hang. The service's own limits for what does not arrive are below it."""
QUIET_SECONDS = 0.3
"""A connection on which nothing has come for so long has said all that it will for now."""
STACK_TRACE = b"Traceback (most recent call last)"


@dataclass(frozen=True)
class Seen:
    """An answer; status 0 means that the connection was closed without one."""

    status: int
    headers: bytes
    body: bytes
    seconds: float

    def header(self, name: str) -> str:
        """Value of a header; empty without it."""
        return str(email.message_from_bytes(self.headers).get(name, ""))

    @property
    def everything(self) -> bytes:
        return self.headers + b"\r\n" + self.body


@dataclass(frozen=True)
class Expected:
    """What an answer must be.

    Attributes:
        refused: whether success is wrong, unless the body is one of `public`.
        public: bodies that anyone may read.
        secrets: texts that no answer may hold.
        limit: seconds after which an answer is a hang.
    """

    refused: bool = False
    public: Collection[bytes] = ()
    secrets: Collection[bytes] = ()
    limit: float = LIMIT_SECONDS


@dataclass(frozen=True)
class Request:
    """A well-formed request, but for what its parts say."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)

    def data(self) -> bytes:
        """The bytes to send; header values may be any of Latin-1."""
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in self.headers)]
        if not any(name.lower() == "host" for name, _ in self.headers):
            lines.append("Host: 127.0.0.1")
        if self.body or self.method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join((*lines, "Connection: close", "", "")).encode("latin-1") + self.body


def connect(url: str) -> socket.socket:
    """A connection to the server of an address."""
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=PATIENCE_SECONDS)


def ask(url: str, request: Request) -> Seen:
    """The answer to a request that is owed one."""
    started = time.monotonic()
    status, headers, body = 0, b"", b""
    with connect(url) as connection:
        response = http.client.HTTPResponse(connection, method=request.method)
        # A server may refuse a request and close before it has read all of it.
        with contextlib.suppress(OSError):
            connection.sendall(request.data())
        with contextlib.suppress(OSError, http.client.HTTPException):
            response.begin()
            status, headers = response.status, bytes(response.headers)
            body = response.read()
    return Seen(status, headers, body, time.monotonic() - started)


def converse(url: str, data: bytes) -> tuple[bytes, float]:
    """All that a server says to bytes that need not be a request, and the seconds until it began."""
    started = time.monotonic()
    waited, said = 0.0, b""
    with connect(url) as connection, contextlib.suppress(OSError):
        connection.sendall(data)
        connection.settimeout(QUIET_SECONDS)
        while part := connection.recv(65536):
            waited = waited or time.monotonic() - started
            said += part
    return said, waited


def fault(seen: Seen, expected: Expected) -> str | None:
    """Why an answer must not be; None when it may."""
    if seen.seconds > expected.limit:
        return f"took {seen.seconds:.1f} s"
    if seen.status >= 500:
        return f"status {seen.status}"
    if STACK_TRACE in seen.body:
        return "a stack trace"
    for secret in expected.secrets:
        if secret in seen.everything:
            return f"holds {secret!r}"
    if expected.refused and 200 <= seen.status < 300 and seen.body not in expected.public:
        return f"let in with {seen.status}"
    return None


def ask_all(url: str, requests: Iterable[Request], expected: Expected, tally: Tally) -> list[Seen]:
    """Send requests, some at the same time, and count them."""
    asked = list(requests)
    answers = side_by_side(lambda request: ask(url, request), asked)
    for request, seen in zip(asked, answers, strict=True):
        tally.count(request, seen.seconds, fault=fault(seen, expected), lost=seen.status == 0)
    return answers


def side_by_side(call: Callable[[Any], Any], inputs: Iterable[Any], callers: int = CALLERS) -> list[Any]:
    """The results of a call for each input, some at the same time, in the inputs' order."""
    with ThreadPoolExecutor(callers) as pool:
        return list(pool.map(call, inputs))
