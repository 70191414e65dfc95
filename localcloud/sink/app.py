"""The webhook sink as an ASGI application."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from localcloud.gunzip import TooLargeError, gunzip
from localcloud.sink import page, replies
from localcloud.sink.store import MessageStore

MAX_BODY_BYTES = 1024 * 1024
_SECURITY_HEADERS = {
    "Content-Security-Policy": page.CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class _BodyRefusedError(Exception):
    """The request body is too large or damaged; `status` is the HTTP status of the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def create_app(store: MessageStore) -> Starlette:
    """Application that records into `store`.

    Serves `POST` on every path (recorded; answered as Slack below `/slack/`, as Sentry on a DSN's paths),
    `GET /messages?after=N`, `GET /` (page) and `GET /healthz`.
    """
    sink = _Sink(store)
    return Starlette(
        routes=[
            Route("/healthz", sink.healthz, methods=["GET"]),
            Route("/messages", sink.messages, methods=["GET"]),
            Route("/", sink.page, methods=["GET"]),
            Route("/{path:path}", sink.receive, methods=["POST"]),
        ],
        exception_handlers={_BodyRefusedError: _error_response},
    )


async def _error_response(_: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, _BodyRefusedError) else 400
    return PlainTextResponse(str(error), status_code=status)


class _Sink:
    def __init__(self, store: MessageStore) -> None:
        self._store = store

    async def healthz(self, _: Request) -> Response:
        """Answer `GET /healthz` with 200 as soon as the server runs."""
        return JSONResponse({"status": "ok"})

    async def messages(self, request: Request) -> Response:
        """Answer `GET /messages?after=N`: messages with a larger id, oldest first, and the last id; 400 for another
        `after`.
        """
        after = request.query_params.get("after", "0")
        if not after.isascii() or not after.isdigit() or len(after) > 18:
            return JSONResponse({"error": "after must be a message id (a whole number)"}, status_code=400)
        found = [
            {**asdict(message), "json": replies.parse_json(message.body)} for message in self._store.after(int(after))
        ]
        last = found[-1]["id"] if found else int(after)
        return JSONResponse({"messages": found, "last": last})

    async def page(self, _: Request) -> Response:
        """Answer `GET /` with the page of all stored messages."""
        return HTMLResponse(page.render(self._store.after(0)), headers=_SECURITY_HEADERS)

    async def receive(self, request: Request) -> Response:
        """Record a POST and answer as the service behind its path: Slack `ok`, Sentry the event id, others the message
        id.

        Raises:
            _BodyRefusedError: the body is too large or damaged.
        """
        path = request.url.path
        kind = replies.kind_of(path)
        body = await _read_body(request)
        problem = replies.slack_problem(body) if kind == "slack" else None
        if problem is not None:
            return PlainTextResponse(problem, status_code=400)
        # One short append: not worth a thread, and messages keep their order of arrival.
        message = self._store.add(
            received_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            path=path,
            kind=kind,
            content_type=request.headers.get("content-type", ""),
            body=body,
        )
        if kind == "slack":
            return PlainTextResponse("ok")
        return JSONResponse({"id": replies.sentry_event_id(body) if kind == "sentry" else message.id})


async def _read_body(request: Request) -> str:
    """The body as text, decompressed when it is gzipped (Sentry SDKs compress).

    Raises:
        _BodyRefusedError: 413 above `MAX_BODY_BYTES` before or after decompression, 400 for a damaged gzip body.
    """
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > MAX_BODY_BYTES:
            raise _BodyRefusedError(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
    if request.headers.get("content-encoding", "").lower() == "gzip":
        try:
            data = bytearray(gunzip(bytes(data), MAX_BODY_BYTES))
        except TooLargeError as error:
            raise _BodyRefusedError(413, str(error)) from None
        except ValueError as error:
            raise _BodyRefusedError(400, str(error)) from None
    return data.decode(errors="replace")
