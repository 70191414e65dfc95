"""Turns a finished text into a stream of tokens, with the limits that a real engine would apply."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

from services.common.text import estimate_tokens
from services.llm.engines import Piece
from services.llm.schemas import ChatRequest, Usage

WORD = re.compile(r"\s*\S+")


async def type_out(answer: str, request: ChatRequest, delay_ms: float) -> AsyncIterator[Piece]:
    """Stream `answer` word by word; a word counts as one token, the prompt is estimated from its characters."""
    for stop in request.stops:
        answer = answer.split(stop, 1)[0]
    words = WORD.findall(answer)
    sent = words[: request.max_tokens]
    for word in sent:
        yield Piece(text=word)
        await asyncio.sleep(delay_ms / 1000)
    prompt_tokens = sum(estimate_tokens(message.content) for message in request.messages)
    usage = Usage(prompt_tokens=prompt_tokens, completion_tokens=len(sent), total_tokens=prompt_tokens + len(sent))
    yield Piece(finish_reason="length" if len(sent) < len(words) else "stop", usage=usage)


def last_user_message(request: ChatRequest) -> str:
    """Content of the last user message, or nothing."""
    return next((m.content for m in reversed(request.messages) if m.role == "user"), "")
