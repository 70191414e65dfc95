"""Engine `openai`: forwards to any OpenAI-compatible URL (Ollama, vLLM, llama.cpp) and streams through."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import httpx

from services.llm.engines.base import End, Event, Piece
from services.llm.errors import LlmError
from services.llm.schemas import ChatRequest, Message

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
# Statuses of the upstream that are about this request; all others are answered as 502.
_PASSED_ON = {400, 404, 413, 422, 429, 503}


class OpenAiEngine:
    """Client of an OpenAI-compatible chat completions server."""

    def __init__(self, base_url: str, api_key: str | None, model: str | None, timeout_seconds: float) -> None:
        """Keep the settings; `timeout_seconds` bounds the silence before and between chunks."""
        self._url = base_url.rstrip("/") + "/chat/completions"
        self._model = model
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        timeout = httpx.Timeout(timeout_seconds, connect=CONNECT_SECONDS)
        self._client = httpx.AsyncClient(headers=headers, timeout=timeout)

    async def load(self) -> None:
        """Nothing to load: the upstream may come and go."""

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def tokens(self, text: str | Sequence[Message]) -> list[int] | None:
        """None: OpenAI's interface has no route that counts tokens."""
        return None

    async def generate(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Events of the upstream's answer, with its own token counts, if it counts."""
        body = request.model_dump(exclude_none=True)
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        if self._model:
            body["model"] = self._model
        reason, usage = None, None
        try:
            async with self._client.stream("POST", self._url, json=body) as response:
                if response.status_code != httpx.codes.OK:
                    raise _refused(response.status_code, await response.aread())
                async for line in response.aiter_lines():
                    chunk = _chunk(line)
                    if chunk is None:
                        continue
                    usage = chunk.get("usage") or usage
                    choice = (chunk.get("choices") or [{}])[0]
                    reason = choice.get("finish_reason") or reason
                    if text := (choice.get("delta") or {}).get("content"):
                        yield Piece(text)
        except httpx.TimeoutException:
            raise LlmError(504, "The upstream model server did not answer in time.") from None
        except httpx.HTTPError as error:
            logger.warning("upstream failed", extra={"error": type(error).__name__})
            raise LlmError(502, "The upstream model server cannot be reached or broke off.") from None
        if reason is None:
            raise LlmError(502, "The upstream model server ended its stream before the answer was complete.")
        yield End(reason, usage)


def _chunk(line: str) -> dict[str, Any] | None:
    line = line.removeprefix("data:").strip()
    if not line.startswith("{"):
        return None  # blank lines, comments, [DONE]
    try:
        chunk: dict[str, Any] = json.loads(line)
    except ValueError:
        raise LlmError(502, "The upstream model server sent a line that is not JSON.") from None
    if chunk.get("error"):
        raise LlmError(502, "The upstream model server reported an error while it was answering.")
    return chunk


def _refused(status: int, body: bytes) -> LlmError:
    if status in (401, 403):
        return LlmError(502, "The upstream model server refused the configured LLM_OPENAI_API_KEY.")
    if status not in _PASSED_ON:
        return LlmError(502, f"The upstream model server answered with status {status}.")
    try:
        message = str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = f"The upstream model server answered with status {status}."
    return LlmError(status, message)
