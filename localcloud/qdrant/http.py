"""HTTP layer: body limit, API key check, and Qdrant's envelope of answers and errors."""

from __future__ import annotations

import hmac
import sys
import time
from typing import Any, TypeVar

import orjson
from fastapi import Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import TypeAdapter, ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from localcloud.qdrant.errors import QdrantError, format_error

T = TypeVar("T")

MAX_BODY_BYTES = 32 * 1024 * 1024  # Qdrant's default `max_request_size_mb`
OPEN_PATHS = frozenset({"/", "/healthz", "/readyz", "/livez"})
"""Paths that Qdrant answers without a key; `/metrics` is none of them."""
READING_POSTS = ("/points", "/points/scroll", "/points/count", "/points/query", "/points/query/batch", "/facet")
"""Ends of the paths below a collection whose POST reads."""


class RequireKey:
    """ASGI middleware that requires a key, in the header `api-key` or as a bearer token, on all but `OPEN_PATHS`.

    The read-only key may search and read; what changes anything is refused with 403, as Qdrant does.
    """

    def __init__(self, app: ASGIApp, api_key: str | None, read_only_api_key: str | None) -> None:
        self._app = app
        self._key = (api_key or "").encode()
        self._read_only_key = (read_only_api_key or "").encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401 or 403."""
        refused = self._refusal(scope) if scope["type"] == "http" and scope["path"] not in OPEN_PATHS else None
        await (refused or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = dict(scope["headers"])
        bearer = headers.get(b"authorization", b"")
        given = headers.get(b"api-key") or (bearer[7:] if bearer.startswith(b"Bearer ") else b"")
        if not given:
            return PlainTextResponse("Must provide an API key or an Authorization bearer token", 401)
        if hmac.compare_digest(given, self._key):
            return None
        if not hmac.compare_digest(given, self._read_only_key):
            return PlainTextResponse("Invalid API key or JWT", 401)
        return None if _reads(scope) else refusal(403, "Forbidden: Global manage access is required")


def _reads(scope: Scope) -> bool:
    if scope["method"] == "POST":
        _, _, below = scope["path"].removeprefix("/collections/").partition("/")
        return f"/{below}" in READING_POSTS
    return scope["method"] in ("GET", "HEAD")


async def read_body(request: Request) -> bytes:
    """The whole request body.

    Raises:
        QdrantError: 413 above `MAX_BODY_BYTES`.
    """
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > MAX_BODY_BYTES:
            raise QdrantError(413, f"Payload too large: a body may have {MAX_BODY_BYTES} bytes.")
    return bytes(data)


def parse(data: bytes, adapter: TypeAdapter[T]) -> T:
    """A JSON body as the client library's model of it.

    Raises:
        QdrantError: 400, naming the first field that is wrong.
    """
    try:
        return adapter.validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise format_error(f"{where}: {first['msg']}" if where else first["msg"]) from None


def success(result: Any, started: float) -> Response:
    """A result in Qdrant's envelope, with the seconds since `started` (`time.perf_counter()`)."""
    body = {"result": result, "status": "ok", "time": time.perf_counter() - started}
    # orjson, since the json module spends three quarters of a search's time on the floats of vectors.
    return Response(orjson.dumps(body), media_type="application/json")


def refusal(status: int, message: str) -> Response:
    """An error in Qdrant's envelope."""
    return JSONResponse({"status": {"error": message}, "time": 0.0}, status)


async def on_refusal(_: Request, error: Exception) -> Response:
    """Answer a `QdrantError`."""
    return refusal(error.status, error.message) if isinstance(error, QdrantError) else refusal(500, "Service error.")


async def on_http_error(_: Request, error: Exception) -> Response:
    """Answer an unknown path or method."""
    status = getattr(error, "status_code", 500)
    return refusal(status, "Not found: no such path." if status == 404 else str(getattr(error, "detail", "Refused.")))


async def on_failure(request: Request, error: Exception) -> Response:
    """Answer any other exception with 500; its text goes to standard error only."""
    sys.stderr.write(f"{request.method} {request.url.path} failed: {type(error).__name__}: {error}\n")
    return refusal(500, "Service internal error: see the server's log.")
