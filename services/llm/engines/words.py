"""Streams a finished answer word by word, as the engines that do not run a model do."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator

from services.common.text import estimate_tokens
from services.llm.engines.base import End, Event, Piece
from services.llm.schemas import ChatRequest

# A word with the space before it: the token of the engines that have no tokenizer.
_WORD = re.compile(r"(?:(?<!\s)\s++)?\S++")


async def stream_words(
    answer: str, request: ChatRequest, delay_seconds: float, prompt_tokens: int | None = None
) -> AsyncGenerator[Event, None]:
    """Events of `answer`, cut at the request's stop sequences and token limit.

    One word is one token; without `prompt_tokens`, those in `usage` are an estimate (characters / 4).
    """
    ends = [at for stop in request.stop_sequences if (at := answer.find(stop)) >= 0]
    words = _WORD.findall(answer[: min(ends)] if ends else answer)
    limit = request.token_limit
    reason = "length" if limit is not None and len(words) > limit else "stop"
    words = words[:limit]
    for index, word in enumerate(words):
        if index and delay_seconds:
            await asyncio.sleep(delay_seconds)
        yield Piece(word)
    prompt = prompt_tokens
    if prompt is None:
        prompt = sum(estimate_tokens(message.text) for message in request.messages)
    usage = {"prompt_tokens": prompt, "completion_tokens": len(words), "total_tokens": prompt + len(words)}
    yield End(reason, usage)


def unsupported_field(request: ChatRequest) -> str | None:
    """Name of a field that an engine without a model cannot honour, None when there is none."""
    extra = request.model_extra or {}
    wanted = extra.get("response_format")
    if wanted is not None and wanted != {"type": "text"}:
        return "response_format"
    return "tools" if extra.get("tools") else None
