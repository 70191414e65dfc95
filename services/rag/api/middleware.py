"""Middleware of every request: id, API key, rate limit, body size, metrics, log line, and unexpected errors."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.logging import concern_logger, request_id_var, trace_id_var
from services.rag.api.deps import Services
from services.rag.api.protocol.errors import ApiError, describe, note_failure
from services.rag.conversation import ClientDisconnected
from services.rag.errors import BUSY_RETRY_SECONDS
from services.rag.telemetry.metrics import RequestRecord

logger = concern_logger("api")
security_logger = concern_logger("security")

HEALTH_PATH = "/healthz"
# The chat page asks for the key itself; it holds nothing that is not public.
PAGE_PATH, PAGE_FILES = "/", "/static/"
OWN_PARTS = frozenset(
    ("", "rag", "v1", "chat", "completions", "models", "feedback", "healthz", "readyz", "metrics", "static", "docs")
) | {"openapi.json"}
"""All that logs show of a path: what else stands in it may be a key that belongs elsewhere."""
BODY_TIMEOUT_SECONDS = 15.0
# For the log and the metrics only, since the connection is gone: the caller ended the request, not the service.
CLIENT_CLOSED_REQUEST = 499
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER = "other"


class _Refused(Exception):
    def __init__(self, error: ApiError) -> None:
        super().__init__(error.message)
        self.error = error


class Gateway:
    """ASGI middleware; its shared objects are `app.state.services`, which the lifespan sets."""

    def __init__(
        self,
        app: ASGIApp,
        max_request_bytes: int,
        max_concurrent: int,
        body_timeout_seconds: float = BODY_TIMEOUT_SECONDS,
    ) -> None:
        self._app = app
        self._limit = max_request_bytes
        self._most = max_concurrent
        self._body_timeout = body_timeout_seconds
        self._running = 0

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
        services: Services = scope["app"].state.services
        record = services.metrics.start_request()
        answer = _Answer(send, request_id)
        try:
            await self._handle(scope, headers, receive, answer, services)
        except _Refused as refused:
            await refused.error.response()(scope, receive, answer.send)
        except ClientDisconnected:
            answer.status = CLIENT_CLOSED_REQUEST
        except Exception as error:  # noqa: BLE001 - the last resort: described, logged, one shape
            described = describe(error)
            if answer.started:
                note_failure(scope, described)
            else:
                await described.response()(scope, receive, answer.send)
        finally:
            _record(scope, answer.status, services, record)

    async def _handle(
        self, scope: Scope, headers: Headers, receive: Receive, answer: _Answer, services: Services
    ) -> None:
        if not _is_public(scope):
            await self._authenticate(scope, headers, answer, services)
        if scope["method"] != "POST":
            await self._app(scope, await self._read_body(headers, receive), answer.send)
            return
        self._admit(services)
        self._running += 1
        try:
            await self._app(scope, await self._read_body(headers, receive), answer.send)
        finally:
            self._running -= 1

    def _admit(self, services: Services) -> None:
        """Refuse the request when as many are running as the service may run."""
        if self._running >= self._most:
            services.metrics.count_shed("requests")
            message = f"The service works on {self._running} requests, which is the most; ask again in a moment."
            raise _Refused(ApiError(503, "overloaded", message, retry_after_seconds=BUSY_RETRY_SECONDS))

    async def _authenticate(self, scope: Scope, headers: Headers, answer: _Answer, services: Services) -> None:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        key = await services.keys.find(given.strip()) if scheme.lower() == "bearer" and given.strip() else None
        if key is None:
            security_logger.warning("request without a valid key", extra={"path": _named(scope), "given": bool(given)})
            message = "The API key is missing or wrong: send it as 'Authorization: Bearer <key>'."
            raise _Refused(ApiError(401, "unauthorized", message, {"WWW-Authenticate": "Bearer"}))
        scope["state"]["key_name"] = key.name
        if scope["method"] != "POST":
            return  # reading is cheap, and monitoring polls
        allowance = services.limiter.take(key)
        answer.headers.update(allowance.headers)
        if not allowance.passed:
            services.metrics.count_shed("rate_limit")
            security_logger.warning("rate limit reached", extra={"key_name": key.name, "limit": allowance.limit})
            message = f"This key may send {allowance.limit} requests per minute; more in {allowance.retry_after} s."
            raise _Refused(ApiError(429, "rate_limit_exceeded", message, retry_after_seconds=allowance.retry_after))

    async def _read_body(self, headers: Headers, receive: Receive) -> Receive:
        """Read the whole body, and return what replays it to the application.

        Raises:
            _Refused: the body is too large, or does not arrive in time.
            ClientDisconnected: the caller went away before all of it arrived.
        """
        too_large = _Refused(
            ApiError(413, "request_too_large", f"The request body is larger than {self._limit} bytes.")
        )
        declared = headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self._limit:
            raise too_large
        body = b""
        try:
            async with asyncio.timeout(self._body_timeout):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientDisconnected("The caller went away before the request was complete.")
                    body += message.get("body", b"")
                    if len(body) > self._limit:
                        raise too_large
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            raise _Refused(ApiError(408, "request_timeout", "The request body did not arrive in time.")) from None
        first: Message | None = {"type": "http.request", "body": body, "more_body": False}

        async def replay() -> Message:
            nonlocal first
            if first is not None:
                given, first = first, None
                return given
            return await receive()

        return replay


class _Answer:
    """Adds the request id and other headers to the response and remembers its status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.headers = {"X-Request-Id": request_id}
        self.status = 0

    @property
    def started(self) -> bool:
        return self.status != 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message).update(self.headers)
        await self._send(message)


def _is_public(scope: Scope) -> bool:
    path: str = scope["path"]
    if path == HEALTH_PATH:
        return True
    return scope["method"] in {"GET", "HEAD"} and (path == PAGE_PATH or path.startswith(PAGE_FILES))


def _named(scope: Scope) -> str:
    """The path for logs, with `*` for each part that none of our addresses has."""
    return "/".join(part if part in OWN_PARTS else "*" for part in scope["path"].split("/"))


def _record(scope: Scope, status: int, services: Services, record: RequestRecord) -> None:
    if scope["path"] == HEALTH_PATH and status == 200:
        return  # the load balancer asks every few seconds
    state: Mapping[str, object] = scope["state"]
    seconds = time.perf_counter() - scope["state"]["received"]
    route = getattr(scope.get("route"), "path", None) or _OTHER
    method = scope["method"] if scope["method"] in _METHODS else _OTHER
    failure = state.get("failure")
    failed = failure if isinstance(failure, ApiError) else None
    services.metrics.observe_request(method, route, status, seconds, error_status=failed.status if failed else None)
    if services.emf is not None:
        services.emf.request(
            route=route,
            status=status,
            failed=(failed.status, failed.code) if failed else None,
            seconds=seconds,
            measured=record.measured,
            held=services.metrics.held_now,
            shed=services.metrics.take_shed(),
            request_id=request_id_var.get(),
            trace_id=trace_id_var.get(),
        )
    logger.info(
        "request",
        extra={
            "method": scope["method"],
            "path": _named(scope),
            "status": status,
            "error": failed.code if failed else None,
            "key_name": state.get("key_name"),
            "duration_ms": round(seconds * 1000, 2),
        },
    )
