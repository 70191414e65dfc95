"""Requests and responses in OpenAI's shape: the fields that this service reads, and those that it adds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from services.rag.api.protocol.request_body import RequestBody
from services.rag.api.protocol.schemas import MAX_TURNS, SAYS_SOMETHING, Degraded, Source, Usage

MAX_STOPS = 4

_TEXT_PART = {
    "type": "object",
    "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
    "required": ["type", "text"],
}
_SPEAKING_PART = {
    **_TEXT_PART,
    "properties": {"type": {"const": "text"}, "text": {"type": "string", "pattern": SAYS_SOMETHING}},
}
_MESSAGES_SCHEMA: dict[str, Any] = {
    "type": "array",
    "minItems": 1,
    "description": "the conversation; its last user message is the question",
    "items": {
        "anyOf": [
            {
                "type": "object",
                "properties": {
                    "role": {"const": "user"},
                    "content": {
                        "anyOf": [
                            {"type": "string", "pattern": SAYS_SOMETHING},
                            {"type": "array", "items": _SPEAKING_PART, "minItems": 1},
                        ]
                    },
                },
                "required": ["role", "content"],
            },
            {
                "type": "object",
                "properties": {
                    "role": {"enum": ["system", "developer", "assistant"]},
                    "content": {"anyOf": [{"type": "string"}, {"type": "array", "items": _TEXT_PART}]},
                },
                "required": ["role", "content"],
            },
        ]
    },
    "contains": {
        "type": "object",
        "properties": {"role": {"const": "user"}},
        "required": ["role"],
    },
}


def _integral(value: Any) -> Any:
    """Accept 64.0 as 64: JSON has one kind of number, and JSON Schema calls 64.0 an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Tokens = Annotated[int, Field(ge=1), BeforeValidator(_integral)]


class Part(BaseModel):
    """A part of a message's content; parts other than text are refused."""

    model_config = ConfigDict(strict=True)

    type: str
    text: str | None = None

    @model_validator(mode="after")
    def _text_is_there(self) -> Part:
        if self.type == "text" and self.text is None:
            raise ValueError("a part of type text needs the field text")
        return self


class Message(BaseModel):
    """A message of the conversation."""

    model_config = ConfigDict(strict=True)

    role: str
    content: str | Annotated[list[Part], Field(max_length=MAX_TURNS, fail_fast=True)] | None = None
    tool_calls: list[Any] | None = None

    @property
    def text(self) -> str:
        """The text of all parts."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text or "" for part in self.content or ())


class StreamOptions(BaseModel):
    """Options of a stream."""

    model_config = ConfigDict(strict=True)

    include_usage: bool | None = Field(default=None, description="end with a chunk that holds the token counts")


class ChatCompletionRequest(RequestBody):
    """Body of `POST /v1/chat/completions`. Parameters that are not named here are accepted and have no effect."""

    model_config = ConfigDict(strict=True)

    messages: Annotated[list[Message], Field(max_length=MAX_TURNS, fail_fast=True), WithJsonSchema(_MESSAGES_SCHEMA)]
    model: str | None = Field(default=None, description="ignored: there is one model, which answers name")
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(default=None, gt=0, le=1, allow_inf_nan=False)
    max_tokens: Tokens | None = Field(default=None, description="longest answer")
    max_completion_tokens: Tokens | None = Field(default=None, description="longest answer; overrides max_tokens")
    stop: (
        Annotated[str, Field(min_length=1)]
        | Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=MAX_STOPS, fail_fast=True)]
        | None
    ) = Field(default=None, description="texts that end the answer")
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int | None, WithJsonSchema({"enum": [1, None]})] = Field(
        default=None, description="answers per question: one"
    )
    tools: Annotated[list[Any] | None, WithJsonSchema({"enum": [None, []]})] = Field(
        default=None, description="not supported"
    )
    enable_rag: bool = Field(default=True, description="extension: whether to retrieve documents for the answer")
    author: str | None = Field(
        default=None, min_length=1, max_length=200, description="extension: only this author's documents"
    )
    allow_without_context: bool = Field(
        default=False, description="extension: answer without documents when retrieval is down, instead of failing"
    )


class AnswerMessage(BaseModel):
    """The model's message."""

    role: Literal["assistant"]
    content: str
    refusal: None


class Choice(BaseModel):
    """The answer."""

    index: Literal[0]
    message: AnswerMessage
    finish_reason: str
    logprobs: None


class ChatCompletion(BaseModel):
    """Answer without streaming; `sources`, `trace_id`, `timings` and `degraded` are additions."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    sources: list[Source]
    trace_id: str
    timings: dict[str, Any]
    degraded: Degraded


class Model(BaseModel):
    """The model that answers."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    """The list of models, which has one entry."""

    object: Literal["list"]
    data: list[Model]
