"""The sagemaker-runtime API as an ASGI application.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Operations_Amazon_SageMaker_Runtime.html.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping
from typing import TypeVar

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from localcloud.sagemaker_runtime import errors, eventstream
from localcloud.sagemaker_runtime.containers import ContainerClient, stream_timed_out
from localcloud.sagemaker_runtime.limits import AccountIdentity, RuntimeLimits
from localcloud.sagemaker_runtime.routing import RoutingTable
from localcloud.sagemaker_runtime.selection import Target, resolve

T = TypeVar("T")

ATTRIBUTES_HEADER = "x-amzn-sagemaker-custom-attributes"
COMPONENT_HEADER = "x-amzn-sagemaker-inference-component"
VARIANT_HEADER = "x-amzn-sagemaker-target-variant"
STREAM_ACCEPT_HEADER = "x-amzn-sagemaker-accept"
INVOKED_VARIANT_HEADER = "x-Amzn-Invoked-Production-Variant"
STREAM_CONTENT_TYPE_HEADER = "X-Amzn-SageMaker-Content-Type"
DEFAULT_CONTENT_TYPE = "application/octet-stream"

# All other headers of a caller, its signature among them, are for the API and not for the container.
_TO_CONTAINER = (
    "content-type",
    ATTRIBUTES_HEADER,
    "x-amzn-sagemaker-target-model",
    "x-amzn-trace-id",
)
_TO_CALLER = (
    ATTRIBUTES_HEADER,
    "x-amzn-sagemaker-new-session-id",
    "x-amzn-sagemaker-closed-session-id",
)


def create_app(
    table: RoutingTable, limits: RuntimeLimits | None = None, identity: AccountIdentity | None = None
) -> Starlette:
    """Application that serves the endpoints of the routing table.

    Serves `POST /endpoints/{name}/invocations` (InvokeEndpoint), `POST /endpoints/{name}/invocations-response-stream`
    (InvokeEndpointWithResponseStream) and `GET /healthz`. The server must run the application's lifespan, which owns
    the connections to the containers.

    Args:
        table: may change at any time, from any thread.
        limits: AWS's limits by default.
        identity: account and region in messages.
    """
    runtime = _Runtime(table, limits or RuntimeLimits(), identity or AccountIdentity())
    return Starlette(
        routes=[
            Route("/endpoints/{name}/invocations", runtime.invoke, methods=["POST"]),
            Route("/endpoints/{name}/invocations-response-stream", runtime.invoke_with_stream, methods=["POST"]),
            Route("/healthz", _healthz, methods=["GET"]),
        ],
        exception_handlers={errors.RuntimeApiError: runtime.error_response, ClientDisconnect: _client_disconnected},
        lifespan=runtime.lifespan,
    )


async def _healthz(_: Request) -> Response:
    return Response('{"status":"ok"}', media_type="application/json")


async def _client_disconnected(_: Request, __: Exception) -> Response:
    return Response(status_code=499)


class _Runtime:
    """Handlers of both operations; owns the client of the containers while the application runs."""

    def __init__(self, table: RoutingTable, limits: RuntimeLimits, identity: AccountIdentity) -> None:
        self._table = table
        self._limits = limits
        self._identity = identity
        self._containers: ContainerClient

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Open the client of the containers, and close it when the application ends."""
        self._containers = ContainerClient(self._limits, self._identity)
        try:
            yield
        finally:
            await self._containers.aclose()

    async def invoke(self, request: Request) -> Response:
        """Answer InvokeEndpoint: the container's whole body, content type and passed-on headers.

        Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html

        Raises:
            RuntimeApiError: the invocation failed; `error_response` answers it.
            ClientDisconnect: the caller disconnected.
        """
        target, headers, body = await self._prepare(request, accept_header="accept")
        with self._containers.outstanding.admitted(target.endpoint_name):
            return await _unless_disconnected(request.receive, self._answer(target, headers, body))

    async def _answer(self, target: Target, headers: Mapping[str, str], body: bytes) -> Response:
        async with self._containers.invoke(target, headers, body) as answer:
            content = await self._containers.read(target, answer)
            out = _answer_headers(target, answer.headers)
            return Response(content, headers={**out, "Content-Type": _content_type(answer.headers)})

    async def invoke_with_stream(self, request: Request) -> Response:
        """Answer InvokeEndpointWithResponseStream: event-stream messages as the container sends its body.

        Source:
        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpointWithResponseStream.html

        Raises:
            RuntimeApiError: the invocation failed before the first byte; `error_response` answers it.
            ClientDisconnect: the caller disconnected before the first byte.
        """
        target, headers, body = await self._prepare(request, accept_header=STREAM_ACCEPT_HEADER)
        resources = contextlib.AsyncExitStack()
        try:
            resources.enter_context(self._containers.outstanding.admitted(target.endpoint_name))
            opened = resources.enter_async_context(self._containers.invoke(target, headers, body))
            answer = await _unless_disconnected(request.receive, opened)
        except BaseException:
            await resources.aclose()
            raise
        out = _answer_headers(target, answer.headers)
        out[STREAM_CONTENT_TYPE_HEADER] = _content_type(answer.headers)
        frames = self._containers.frames(answer)
        return EventStreamResponse(frames, resources, self._limits.stream_seconds, out)

    async def _prepare(self, request: Request, accept_header: str) -> tuple[Target, dict[str, str], bytes]:
        body = await _read_body(request, self._limits.max_body_bytes)
        attributes = request.headers.get(ATTRIBUTES_HEADER, "")
        if len(attributes) > self._limits.max_attributes_chars or not _visible(attributes):
            errors.raise_bad_attributes(self._limits.max_attributes_chars)
        target = resolve(
            self._table,
            request.path_params["name"],
            request.headers.get(COMPONENT_HEADER),
            request.headers.get(VARIANT_HEADER),
            self._identity,
        )
        headers = {name: request.headers[name] for name in _TO_CONTAINER if name in request.headers}
        # A container that compresses would make the caller's SDK read compressed parts.
        headers |= {"accept": request.headers.get(accept_header, "*/*"), "accept-encoding": "identity"}
        return target, headers, body

    async def error_response(self, _: Request, error: Exception) -> Response:
        """The response to a `RuntimeApiError`, in the form that SDKs parse; any other error is raised again."""
        if not isinstance(error, errors.RuntimeApiError):
            raise error
        background = None
        if isinstance(error, errors.NoCapacityError):
            # After the response and on a worker thread, so that callbacks do not delay the caller.
            background = BackgroundTask(self._table.report_no_capacity, error.endpoint_name, error.component_name)
        return Response(
            json.dumps(error.body()),
            status_code=error.status,
            media_type="application/json",
            headers={"x-amzn-errortype": error.error_type},
            background=background,
        )


class EventStreamResponse(Response):
    """Response that sends frames as they arrive, and closes the connection to the container when the caller
    disconnects.

    Starlette's StreamingResponse notices a disconnected caller only when it sends the next piece, so that a slow model
    would go on working until then.

    Args:
        frames: event-stream messages.
        resources: closed when the response ends, for whatever reason.
        seconds: time within which the stream must end; later it ends with ModelInvocationTimeExceeded.
        headers: response headers.
    """

    def __init__(
        self,
        frames: AsyncGenerator[bytes, None],
        resources: contextlib.AsyncExitStack,
        seconds: float,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(headers={**headers, "Content-Type": eventstream.CONTENT_TYPE})
        del self.headers["content-length"]
        self._frames = frames
        self._resources = resources
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._resources:
            with contextlib.suppress(ClientDisconnect):
                await _unless_disconnected(receive, self._send_all(send))

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async with asyncio.timeout(self._seconds), contextlib.aclosing(self._frames) as frames:
                async for frame in frames:
                    await send({"type": "http.response.body", "body": frame, "more_body": True})
        except TimeoutError:
            await send({"type": "http.response.body", "body": stream_timed_out(), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _read_body(request: Request, limit: int) -> bytes:
    """The request body.

    A body above the limit is read to its end and dropped, since clients send all of it before they read the answer.

    Raises:
        RuntimeApiError: ValidationError when the body is larger than `limit` bytes.
    """
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > limit:
            pieces.clear()
        else:
            pieces.append(piece)
    if size > limit:
        errors.raise_body_too_large(limit)
    return b"".join(pieces)


def _visible(text: str) -> bool:
    return text.isascii() and text.isprintable()


async def _unless_disconnected(receive: Receive, work: Awaitable[T]) -> T:
    """The result of `work`, which is cancelled when the caller disconnects first.

    Raises:
        ClientDisconnect: the caller disconnected.
    """
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnect()
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _answer_headers(target: Target, headers: Mapping[str, str]) -> dict[str, str]:
    passed = {name: headers[name] for name in _TO_CALLER if name in headers}
    return {INVOKED_VARIANT_HEADER: target.variant, **passed}


def _content_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", DEFAULT_CONTENT_TYPE)
