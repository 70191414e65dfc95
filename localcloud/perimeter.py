"""Keeps web pages away from the local servers: a browser that is open on this machine reaches every loopback port.

A page of any site can send requests to 127.0.0.1, and by DNS rebinding read the answers under its own host name. So a
request is served only for one of this machine's names with the server's own port, and, when a browser sends it, only
for pages of the same origin. Programs (SDKs, the CDK, curl) send neither `Origin` nor fetch metadata and notice
nothing.

Sources: Fetch Standard, "HTTP-network-or-cache fetch" (Origin) and W3C Fetch Metadata Request Headers (Sec-Fetch-*);
RFC 6761, section 6.3 (names below `localhost` are loopback).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OWN_NAME = re.compile(r"127\.0\.0\.1|\[::1\]|(?:[a-z0-9_-]{1,63}\.){0,8}localhost", re.IGNORECASE)
"""Names of this machine: its loopback addresses and what RFC 6761 reserves. No DNS server answers for them."""
HOST = re.compile(r"(?P<name>\[[0-9a-f:]{2,39}\]|[^:\[\]@/]{1,253})(?::(?P<port>\d{1,5}))?", re.IGNORECASE)
FOREIGN_SITES = frozenset({"cross-site", "same-site"})
"""Values of `Sec-Fetch-Site` for requests of another origin's page; another port of this machine is "same-site"."""
CORS_PREFIX = b"access-control-"


class Perimeter:
    """ASGI middleware that serves this machine's programs and same-origin pages, and refuses all others with 403.

    Requests without `Host` (HTTP/1.0) are refused as well. `Access-Control-*` headers of the application are dropped:
    no other origin is to read an answer.
    """

    def __init__(self, app: ASGIApp, *, linked: bool = False, names: re.Pattern[str] | None = None) -> None:
        """The application behind the perimeter.

        Args:
            app: serves what is let in.
            linked: whether another site's page may link here, because a GET of this server changes nothing.
            names: further host names of the server, which no one else can make resolve to this machine.
        """
        self._app = app
        self._linked = linked
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        problem = self._problem(scope)
        if problem is None:
            await self._app(scope, receive, _without_cors(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "forbidden"})
        else:
            await _refuse(send, problem)

    def _problem(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        host = hosts[0] if len(hosts) == 1 else None
        own_port = (scope.get("server") or (None, None))[1]
        if host is None or not (is_own_host(host, own_port) or (self._names and self._names.fullmatch(host))):
            return f"This server is local: call it by 127.0.0.1 or a name below localhost, with port {own_port}."
        # A page opens a WebSocket with its own origin, which is one of HTTP.
        own_origin = f"{scope['scheme'].replace('ws', 'http')}://{host}".lower()
        if any(origin.lower() != own_origin for origin in headers.getlist("origin")):
            return "This server is local: it answers no page of another origin."
        if FOREIGN_SITES & set(headers.getlist("sec-fetch-site")) and not (self._linked and _is_link(scope, headers)):
            return "This server is local: it answers no page of another site."
        return None


def is_own_host(host: str, port: int | None) -> bool:
    """Whether a `Host` header names this machine and no other port than the server's.

    Only programs leave the port out, unless it is 80: a browser always names it.
    """
    found = HOST.fullmatch(host)
    if found is None or not OWN_NAME.fullmatch(found["name"]):
        return False
    return port is None or found["port"] is None or int(found["port"]) == port


def _is_link(scope: Mapping[str, object], headers: Headers) -> bool:
    """Whether a person followed a link: a whole page is shown, not a frame in another one, and nothing is sent."""
    return (
        scope["type"] == "http"
        and scope["method"] in ("GET", "HEAD")
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


def _without_cors(send: Send) -> Send:
    async def forward(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message.get("headers", ()) if not pair[0].lower().startswith(CORS_PREFIX)]
            message = {**message, "headers": kept}
        await send(message)

    return forward


async def _refuse(send: Send, problem: str) -> None:
    body = json.dumps({"message": problem}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
