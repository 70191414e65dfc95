"""`POST /tokenize` in vLLM's shape: the tokens of a text, or of chat messages within the model's template.

Source: vllm/entrypoints/serve/tokenize/protocol.py of vllm-project/vllm (TokenizeRequest, TokenizeResponse).
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.llm.engines.base import Engine
from services.llm.errors import LlmError, invalid
from services.llm.schemas import ChatRequest, Message


class TokenizeRequest(BaseModel):
    """A text (`prompt`) or chat messages; fields of vLLM that change no count here are accepted and ignored."""

    model_config = ConfigDict(extra="allow")

    prompt: str | None = None
    messages: list[Message] | None = Field(None, min_length=1)


def tokenize(engine: Engine, body: bytes, max_model_len: int) -> dict[str, Any]:
    """The answer to a request body.

    Raises:
        LlmError: 400 for a body that is wrong; 404 when the engine has no tokenizer, as a server without the route.
    """
    try:
        request = TokenizeRequest.model_validate(json.loads(body))
    except (ValueError, ValidationError):
        raise invalid("The request body is not a JSON object with 'prompt' or 'messages'.") from None
    given = [each for each in (request.prompt, request.messages) if each is not None]
    if len(given) != 1:
        raise invalid("The request body needs either 'prompt' or 'messages'.")
    tokens = engine.tokens(given[0])
    if tokens is None:
        raise LlmError(404, "The engine has no tokenizer.")
    return {"count": len(tokens), "max_model_len": max_model_len, "tokens": tokens, "token_strs": None}


def check_length(engine: Engine, request: ChatRequest, max_model_len: int) -> None:
    """Check that prompt and answer fit the model's window, as vLLM does before it generates.

    Source: vllm/renderers/params.py of vllm-project/vllm (TokenizeParams).

    Raises:
        LlmError: they do not fit (400).
    """
    tokens = engine.tokens(request.messages)
    if tokens is not None and len(tokens) + (request.token_limit or 1) > max_model_len:
        raise invalid(
            f"This model's window is {max_model_len} tokens; the messages have {len(tokens)} and "
            f"{request.token_limit or 1} are asked for.",
            "messages",
        )
