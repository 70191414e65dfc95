"""The request body: the part of OpenAI's chat completions that the engines understand."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.llm.errors import invalid

# OpenAI's own limit on stop sequences.
MAX_STOP_SEQUENCES = 4


class Message(BaseModel):
    """One chat message; `content` is text or OpenAI's list of parts."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None = None

    @property
    def text(self) -> str:
        """Text of the message, its text parts joined."""
        if isinstance(self.content, list):
            return "".join(str(part.get("text", "")) for part in self.content if part.get("type") == "text")
        return self.content or ""


class StreamOptions(BaseModel):
    """Options of a stream."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """A chat completion request; fields not named here are kept for an engine that forwards them."""

    model_config = ConfigDict(extra="allow")

    messages: list[Message] = Field(min_length=1)
    model: str | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    n: Literal[1] | None = None
    stop: str | list[str] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None

    @property
    def token_limit(self) -> int | None:
        """Most tokens to answer with; None means no limit."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def stop_sequences(self) -> list[str]:
        """Texts that end the answer and are not part of it."""
        found = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return [sequence for sequence in found if sequence]

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with a chunk of token counts."""
        return self.stream_options is not None and self.stream_options.include_usage

    @property
    def last_user_text(self) -> str:
        """Text of the last user message, empty when there is none."""
        return next((message.text for message in reversed(self.messages) if message.role == "user"), "")


def parse_request(body: bytes) -> ChatRequest:
    """Read a request body.

    Raises:
        LlmError: with status 400 and what is wrong.
    """
    try:
        data = json.loads(body)
    except ValueError:
        raise invalid("The request body is not valid JSON.") from None
    if not isinstance(data, dict):
        raise invalid("The request body is not a JSON object.")
    try:
        request = ChatRequest.model_validate(data)
    except ValidationError as error:
        detail = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in detail["loc"])
        raise invalid(f"Field '{field}' is wrong: {detail['msg']}.", field) from None
    if len(request.stop_sequences) > MAX_STOP_SEQUENCES:
        raise invalid(f"Field 'stop' holds more than {MAX_STOP_SEQUENCES} sequences.", "stop")
    return request
