"""Answers in OpenAI's shape, whole and as chunks."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from services.llm.engines.base import End


class Completion:
    """Builds one answer: all its chunks share one id and one creation time."""

    def __init__(self, model: str) -> None:
        """Start an answer of the model with this name."""
        self._head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}

    def complete(self, text: str, end: End) -> dict[str, Any]:
        """The answer in one body."""
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": end.finish_reason}
        usage = {} if end.usage is None else {"usage": end.usage}
        return {**self._head, "object": "chat.completion", "choices": [choice], **usage}

    def first(self) -> bytes:
        """Event that opens a stream."""
        return self._chunk({"role": "assistant", "content": ""}, None)

    def piece(self, text: str) -> bytes:
        """Event with new text."""
        return self._chunk({"content": text}, None)

    def last(self, end: End, *, include_usage: bool) -> bytes:
        """Events that close a stream: finish reason, token counts when asked for and known, end mark."""
        events = self._chunk({}, end.finish_reason)
        if include_usage and end.usage is not None:
            events += event({**self._head, "object": "chat.completion.chunk", "choices": [], "usage": end.usage})
        return events + b"data: [DONE]\n\n"

    def _chunk(self, delta: dict[str, str], finish_reason: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return event({**self._head, "object": "chat.completion.chunk", "choices": [choice]})


def event(body: dict[str, Any]) -> bytes:
    """One Server-Sent Event."""
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n".encode()
