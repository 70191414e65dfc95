"""Forwards to any OpenAI-compatible server: Ollama, vLLM, llama.cpp."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx

from services.llm.engines import EngineError, Piece
from services.llm.schemas import ChatRequest, Usage

TIMEOUT = httpx.Timeout(connect=5, read=120, write=10, pool=10)


class OpenAiEngine:
    """Engine `openai`."""

    def __init__(self, base_url: str, api_key: str | None, model: str) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.AsyncClient(base_url=base_url.rstrip("/"), headers=headers, timeout=TIMEOUT)
        self._model = model

    async def generate(self, request: ChatRequest) -> AsyncIterator[Piece]:
        body = {
            **request.model_dump(exclude_none=True, exclude={"model", "stream", "stream_options"}),
            "model": self._model,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        finish_reason: str | None = None
        usage: Usage | None = None
        try:
            async with self._http.stream("POST", "/chat/completions", json=body) as response:
                if response.status_code != httpx.codes.OK:
                    await response.aread()
                    raise EngineError(f"The upstream server answered {response.status_code}: {_reason(response)}", 502)
                async for chunk in _chunks(response):
                    usage = Usage.model_validate(chunk["usage"]) if chunk.get("usage") else usage
                    for choice in chunk.get("choices") or ():
                        finish_reason = choice.get("finish_reason") or finish_reason
                        if text := (choice.get("delta") or {}).get("content"):
                            yield Piece(text=text)
        except httpx.HTTPError as error:
            raise EngineError(
                f"The upstream server cannot be reached or broke off ({type(error).__name__}).", 502
            ) from None
        yield Piece(finish_reason=finish_reason or "stop", usage=usage)

    async def close(self) -> None:
        await self._http.aclose()


async def _chunks(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    async for line in response.aiter_lines():
        payload = line.removeprefix("data:").strip()
        if not line.startswith("data:") or payload == "[DONE]":
            continue
        try:
            yield json.loads(payload)
        except ValueError:
            raise EngineError("The upstream server sent something that is not JSON.", 502) from None


def _reason(response: httpx.Response) -> str:
    try:
        error = response.json()["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError):
        return response.reason_phrase
