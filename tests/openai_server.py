"""A small OpenAI-compatible chat server, as a person runs Ollama, vLLM or llama.cpp beside the project."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse


def openai_server(
    models: tuple[str, ...] | None = ("small:1b",), key: str | None = None, *, counts: bool = True
) -> FastAPI:
    """The server; `app.state.seen` holds the bodies of the questions that it got.

    Args:
        models: that it lists; None for a server without a list.
        key: without which it refuses.
        counts: whether it counts tokens when asked to.
    """
    app = FastAPI()
    app.state.seen = []

    def refused(request: Request) -> bool:
        return key is not None and request.headers.get("authorization") != f"Bearer {key}"

    @app.get("/v1/models")
    async def listed(request: Request) -> Response:
        if refused(request):
            return JSONResponse({"error": {"message": "no key"}}, 401)
        if models is None:
            return JSONResponse({"error": {"message": "no such page"}}, 404)
        return JSONResponse({"object": "list", "data": [{"id": name, "object": "model"} for name in models]})

    @app.post("/v1/chat/completions")
    async def answered(request: Request) -> Response:
        body = json.loads(await request.body())
        if refused(request):
            return JSONResponse({"error": {"message": "no key"}}, 401)
        app.state.seen.append(body)
        return StreamingResponse(_lines(body), media_type="text/event-stream")

    def _lines(body: dict[str, Any]) -> Any:
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
        for word in ("Written", " by", " the", " small", " model."):
            yield _event({**head, "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]})
        yield _event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if counts and body.get("stream_options", {}).get("include_usage"):
            usage = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
            yield _event({**head, "choices": [], "usage": usage})
        yield "data: [DONE]\n\n"

    return app


def _event(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body)}\n\n"
