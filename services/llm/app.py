"""SageMaker's container contract: `GET /ping` and `POST /invocations`; behind it, vLLM's routes by custom attribute."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from services.common.settings import ConfigurationError
from services.llm.engines.base import End, Engine, Event, Piece
from services.llm.errors import LlmError
from services.llm.responses import Completion, event
from services.llm.routes import RouteByAttribute
from services.llm.schemas import parse_request
from services.llm.tokens import check_length, tokenize

logger = logging.getLogger(__name__)

# Far more than any prompt these engines read; SageMaker itself refuses bodies over 6 MB at classic endpoints.
MAX_BODY_BYTES = 6 * 1024 * 1024
MAX_MODEL_LEN = 8192
_INTERNAL = "The engine failed while it was answering."


def create_app(engine: Engine, model_name: str, *, max_model_len: int = MAX_MODEL_LEN, routes: bool = True) -> FastAPI:
    """The service over an engine, which is loaded in the background so that `/ping` can say that it is not ready.

    Args:
        engine: answers.
        model_name: in responses.
        max_model_len: the model's window in tokens.
        routes: whether the custom attribute `route` is read, as by AWS's vLLM container and not by LMI's.
    """
    loading: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        nonlocal loading
        loading = asyncio.create_task(engine.load())
        loading.add_done_callback(_log_failure)
        yield
        loading.cancel()
        await engine.close()

    def check_loaded() -> None:
        if loading is None or not loading.done():
            raise LlmError(503, "The engine is still loading.", kind="service_unavailable")
        if loading.cancelled() or loading.exception() is not None:
            raise LlmError(500, "The engine could not be loaded; its log says why.")

    app = FastAPI(title="LLM microservice", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)

    if routes:
        app.add_middleware(RouteByAttribute)

    @app.exception_handler(LlmError)
    async def on_error(_: Request, error: LlmError) -> JSONResponse:
        return JSONResponse(error.body, error.status)

    @app.exception_handler(HTTPException)
    async def on_http_error(request: Request, error: HTTPException) -> JSONResponse:
        return await on_error(
            request, LlmError(error.status_code, f"{request.method} {request.url.path}: {error.detail}.")
        )

    @app.get("/ping")
    async def ping() -> Response:
        check_loaded()
        return Response()

    @app.post("/v1/chat/completions")
    @app.post("/invocations")
    async def invocations(http_request: Request) -> Response:
        check_loaded()
        _check_content_type(http_request)
        request = parse_request(await _read(http_request))
        check_length(engine, request, max_model_len)
        completion = Completion(model_name)
        events = _guarded(engine.generate(request))
        if not request.stream:
            return JSONResponse(await _collect(events, completion))
        # The first event is awaited here, so that a request that cannot be answered gets its own status.
        first = await anext(events)
        body = _stream(first, events, completion, include_usage=request.include_usage)
        return StreamingResponse(body, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})

    @app.post("/tokenize")
    async def tokens(http_request: Request) -> JSONResponse:
        check_loaded()
        _check_content_type(http_request)
        return JSONResponse(tokenize(engine, await _read(http_request), max_model_len))

    return app


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        known = isinstance(error, ConfigurationError)
        logger.error("engine not loaded: %s", error, exc_info=None if known else error)


def _check_content_type(request: Request) -> None:
    """Refuse what a browser sends for a page of another site without a preflight: JSON always needs one."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise LlmError(415, "The request must have the header Content-Type: application/json.")


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise LlmError(413, f"The request body is larger than {MAX_BODY_BYTES} bytes.")
    return bytes(body)


async def _guarded(events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
    """The engine's events; an unexpected error is logged and answered without its details."""
    async with aclosing(events):
        try:
            async for item in events:
                yield item
        except LlmError:
            raise
        except Exception:
            logger.exception("engine failed")
            raise LlmError(500, _INTERNAL) from None


async def _collect(events: AsyncGenerator[Event, None], completion: Completion) -> dict[str, object]:
    text: list[str] = []
    async with aclosing(events):
        async for item in events:
            if isinstance(item, End):
                return completion.complete("".join(text), item)
            text.append(item.text)
    raise LlmError(500, _INTERNAL)


async def _stream(
    first: Event, events: AsyncGenerator[Event, None], completion: Completion, *, include_usage: bool
) -> AsyncGenerator[bytes, None]:
    async with aclosing(events):
        yield completion.first()
        try:
            item = first
            while isinstance(item, Piece):
                yield completion.piece(item.text)
                item = await anext(events)
            yield completion.last(item, include_usage=include_usage)
        except LlmError as error:
            # The status is sent already; the error travels as an event and the end mark stays out.
            yield event(error.body)
