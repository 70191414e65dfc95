"""What happens to every request before a route sees it: ids, key, size, log line, last resort for errors."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.logging import request_id_var, trace_id_var
from services.rag.api.auth import KeyStore
from services.rag.api.errors import ApiError, describe

logger = logging.getLogger(__name__)

PUBLIC_PATHS = frozenset({"/healthz"})
BODY_TIMEOUT_SECONDS = 15.0
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class _Refused(Exception):  # noqa: N818 - carries a finished answer
    def __init__(self, error: ApiError) -> None:
        super().__init__(error.message)
        self.error = error


class Gateway:
    """ASGI middleware; keys come from `app.state.services`, which the lifespan sets."""

    def __init__(self, app: ASGIApp, max_request_bytes: int) -> None:
        self._app = app
        self._limit = max_request_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())
        request_id_var.set(request_id)
        trace_id_var.set("")
        scope.setdefault("state", {})["received"] = time.perf_counter()
        answer = _Answer(send, request_id)
        try:
            await self._handle(scope, headers, receive, answer)
        except _Refused as refused:
            await refused.error.response()(scope, receive, answer.send)
        except Exception as error:  # noqa: BLE001 - the last resort: described, logged, one shape
            described = describe(error)
            if not answer.started:
                await described.response()(scope, receive, answer.send)
        finally:
            _log(scope, answer.status)

    async def _handle(self, scope: Scope, headers: Headers, receive: Receive, answer: _Answer) -> None:
        if scope["path"] not in PUBLIC_PATHS:
            await self._authenticate(scope, headers)
        await self._app(scope, await self._bounded(headers, receive), answer.send)

    async def _authenticate(self, scope: Scope, headers: Headers) -> None:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        keys: KeyStore = scope["app"].state.services.keys
        name = await keys.name_of(key.strip()) if scheme.lower() == "bearer" and key.strip() else None
        if name is None:
            message = "The API key is missing or wrong: send it as 'Authorization: Bearer <key>'."
            raise _Refused(ApiError(401, "unauthorized", message, {"WWW-Authenticate": "Bearer"}))
        scope["state"]["key_name"] = name

    async def _bounded(self, headers: Headers, receive: Receive) -> Receive:
        """The request with its whole body read, or a refusal when it is too large or does not come."""
        too_large = _Refused(
            ApiError(413, "request_too_large", f"The request body is larger than {self._limit} bytes.")
        )
        declared = headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self._limit:
            raise too_large
        body = b""
        try:
            async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
                while True:
                    message = await receive()
                    body += message.get("body", b"")
                    if len(body) > self._limit:
                        raise too_large
                    if message["type"] != "http.request" or not message.get("more_body", False):
                        break
        except TimeoutError:
            raise _Refused(ApiError(408, "request_timeout", "The request body did not arrive in time.")) from None
        first: Message | None = {"type": "http.request", "body": body, "more_body": False}
        if message["type"] == "http.disconnect":
            first = message

        async def replay() -> Message:
            nonlocal first
            if first is not None:
                given, first = first, None
                return given
            return await receive()

        return replay


class _Answer:
    """Adds the request id to the response and remembers its status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status = 0

    @property
    def started(self) -> bool:
        return self.status != 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)["X-Request-Id"] = self._request_id
        await self._send(message)


def _log(scope: Scope, status: int) -> None:
    if scope["path"] in PUBLIC_PATHS and status == 200:
        return  # the load balancer asks every few seconds
    state = scope["state"]
    logger.info(
        "request",
        extra={
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "key_name": state.get("key_name"),
            "duration_ms": round((time.perf_counter() - state["received"]) * 1000, 2),
        },
    )
