"""SageMaker's container contract: GET /ping and POST /invocations with an OpenAI chat-completions body."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse

from services.llm.engines import Engine, EngineError, Piece
from services.llm.schemas import ChatRequest

logger = logging.getLogger(__name__)


def create_app(engine: Engine, model: str) -> FastAPI:
    """The container's HTTP interface over a loaded `engine`; `model` is named in every answer."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await engine.close()

    app = FastAPI(title="LLM microservice", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/ping")
    async def ping() -> dict[str, str]:
        return {"status": "healthy"}

    @app.post("/invocations")
    async def invocations(body: ChatRequest) -> Response:
        pieces = engine.generate(body)
        # The first piece decides between an HTTP error and an answer.
        first = await anext(pieces)
        answer = Answer(model)
        if body.stream:
            include_usage = body.stream_options is not None and body.stream_options.include_usage
            return StreamingResponse(
                answer.events(first, pieces, include_usage=include_usage), media_type="text/event-stream"
            )
        return JSONResponse(await answer.whole(first, pieces))

    @app.exception_handler(EngineError)
    async def engine_error(_: Request, error: EngineError) -> JSONResponse:
        return _error(error.status, "engine_error", str(error))

    @app.exception_handler(RequestValidationError)
    async def bad_request(_: Request, error: RequestValidationError) -> JSONResponse:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'][1:])) or 'body'}: {e['msg']}" for e in error.errors())
        return _error(400, "invalid_request_error", problems)

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> JSONResponse:
        logger.error("engine failed", exc_info=error)
        return _error(500, "internal_error", "The engine failed; the container's log says why.")

    return app


class Answer:
    """One answer in OpenAI's shapes."""

    def __init__(self, model: str) -> None:
        self._head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}

    async def whole(self, first: Piece, pieces: AsyncIterator[Piece]) -> dict[str, Any]:
        """The answer in one document."""
        text, last = first.text, first
        async for piece in pieces:
            text, last = text + piece.text, piece
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": last.finish_reason}
        usage = last.usage.model_dump() if last.usage else None
        return {**self._head, "object": "chat.completion", "choices": [choice], "usage": usage}

    async def events(self, first: Piece, pieces: AsyncIterator[Piece], *, include_usage: bool) -> AsyncIterator[bytes]:
        """The answer as Server-Sent Events; an error in mid-stream is an `error` event, then the stream breaks off."""
        yield self._chunk(first, role="assistant")
        last = first
        try:
            async for piece in pieces:
                yield self._chunk(piece)
                last = piece
        except EngineError as error:
            yield _event({"error": {"message": str(error), "type": "engine_error", "code": error.status}})
            raise
        if include_usage and last.usage is not None:
            yield _event(
                {**self._head, "object": "chat.completion.chunk", "choices": [], "usage": last.usage.model_dump()}
            )
        yield b"data: [DONE]\n\n"

    def _chunk(self, piece: Piece, **delta: str) -> bytes:
        content = {**delta, "content": piece.text} if piece.text or delta else {}
        choice = {"index": 0, "delta": content, "finish_reason": piece.finish_reason}
        return _event({**self._head, "object": "chat.completion.chunk", "choices": [choice]})


def _event(body: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n".encode()


def _error(status: int, kind: str, message: str) -> JSONResponse:
    return JSONResponse({"error": {"message": message, "type": kind, "code": status}}, status)
