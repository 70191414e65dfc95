"""Request and response bodies of OpenAI's chat completions, as far as a judge uses them."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from services.evaluation.judges.base import MAX_ANSWER_TOKENS, Completion, Message
from services.evaluation.judges.errors import JudgeCallFailed
from services.evaluation.judges.structured import json_schema


def request_body(messages: list[Message], shape: type[BaseModel] | None) -> dict[str, Any]:
    """The body without `model`; a shape is sent as the schema of guided decoding."""
    body: dict[str, Any] = {"messages": messages, "max_tokens": MAX_ANSWER_TOKENS, "temperature": 0.0}
    if shape is not None:
        schema = {"name": shape.__name__, "schema": json_schema(shape), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def read_completion(raw: bytes) -> Completion:
    """The text and the token counts of a response body.

    Raises:
        JudgeCallFailed: it is not a chat completion.
    """
    try:
        body = json.loads(raw)
        text = body["choices"][0]["message"].get("content") or ""
        usage = body.get("usage") or {}
        return Completion(str(text), _count(usage, "prompt_tokens"), _count(usage, "completion_tokens"))
    except (ValueError, TypeError, AttributeError, KeyError, IndexError):
        raise JudgeCallFailed("the judge's response is not a chat completion") from None


def _count(usage: dict[str, Any], name: str) -> int | None:
    value = usage.get(name)
    return value if isinstance(value, int) and value >= 0 else None
