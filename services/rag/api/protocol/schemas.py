"""Requests and responses of the API, except those in OpenAI's shape."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from services.rag.api.protocol.request_body import NoUnknownFields, RequestBody

# About 1,000 tokens: a question, not a document.
MAX_QUERY_CHARS = 4000
# Something other than white space. Python strips five characters that \s does not name in JSON Schema (ECMA-262).
SAYS_SOMETHING = r"[^\s\u001c-\u001f\u0085]"
MAX_REASON_CHARS = 2000
MAX_TURNS = 2000
"""Messages of a conversation; the first wrong one ends the validation."""


def _says_something(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return value.strip()


Query = Annotated[
    str,
    Field(max_length=MAX_QUERY_CHARS, json_schema_extra={"pattern": SAYS_SOMETHING}),
    AfterValidator(_says_something),
]


class HistoryTurn(NoUnknownFields):
    """An earlier message of the conversation."""

    model_config = ConfigDict(strict=True)

    role: Literal["user", "assistant"]
    content: Annotated[str, Field(json_schema_extra={"pattern": SAYS_SOMETHING}), AfterValidator(_says_something)]


class RagRequest(RequestBody, NoUnknownFields):
    """Body of `POST /rag`."""

    model_config = ConfigDict(strict=True)

    query: Query = Field(description="the question")
    enable_rag: bool = Field(default=True, description="whether to retrieve documents for the answer")
    author: str | None = Field(default=None, min_length=1, max_length=200, description="only this author's documents")
    stream: bool = Field(default=False, description="answer with Server-Sent Events")
    allow_without_context: bool = Field(
        default=False,
        description="answer without documents when retrieval is down, and name it in `degraded`, instead of 503",
    )
    history: list[HistoryTurn] = Field(
        default=[],
        max_length=MAX_TURNS,
        fail_fast=True,
        description="earlier messages, oldest first; the newest are kept as far as they fit",
    )


class Source(BaseModel):
    """A document in the model's prompt; `id` is the number by which the answer cites it.

    `ranked_by` names the re-ranker that computed `score`.
    """

    id: int
    title: str
    author: str
    type: str
    url: str
    document_id: str
    chunk_index: int
    score: float
    ranked_by: str


class Usage(BaseModel):
    """Token counts; `estimated` when the engine did not report them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    estimated: bool


class Timings(BaseModel):
    """Milliseconds. TTFT: request received to first token; TPOT: (total - TTFT) / (tokens - 1)."""

    ttft_ms: float | None
    tpot_ms: float | None
    total_ms: float
    steps: dict[str, float]


Degraded = Annotated[
    list[Literal["retrieval", "rerank"]], Field(description="parts of the service that were unavailable for the answer")
]


class RagResponse(BaseModel):
    """Answer of `POST /rag` without streaming."""

    answer: str
    sources: list[Source]
    trace_id: str
    model: str
    usage: Usage
    timings: Timings
    degraded: Degraded


class FeedbackRequest(RequestBody, NoUnknownFields):
    """Body of `POST /feedback`."""

    trace_id: UUID = Field(description="`trace_id` of the answer")
    score: float = Field(
        ge=0,
        le=1,
        strict=True,
        allow_inf_nan=False,
        description="0 (useless) to 1 (right); thumbs down is 0, thumbs up is 1",
    )
    reason: Annotated[str, Field(max_length=MAX_REASON_CHARS, strict=True)] | None = Field(
        default=None, description="reason for the score, as free text"
    )


class Dependency(BaseModel):
    """State of one dependency."""

    state: Literal["ok", "asleep", "down"]
    detail: str | None = None


class Readiness(BaseModel):
    """Answer of `GET /readyz`."""

    status: Literal["ready", "asleep", "not_ready"]
    dependencies: dict[str, Dependency]


class ErrorDetail(BaseModel):
    """An error: `type` follows from the status, `code` is machine-readable, `param` names the field at fault.

    `retry_after_seconds` is the header Retry-After; null when asking again is of no use.
    """

    message: str
    type: str
    param: str | None
    code: str
    request_id: str
    retry_after_seconds: int | None


class ErrorResponse(BaseModel):
    """Body of every error."""

    error: ErrorDetail


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses of a route's errors."""
    return {status: {"model": ErrorResponse} for status in statuses}


def event_stream(*names: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI response of a route's stream of events with these names; none means events without a name."""
    fields: dict[str, Any] = {"data": {"type": "string"}}
    if names:
        fields["event"] = {"type": "string", "enum": list(names)}
    item = {"type": "object", "properties": fields, "required": list(fields)}
    return {200: {"content": {"text/event-stream": {"itemSchema": item}}}}


GENERATION_ERRORS = errors(401, 408, 413, 422, 429, 500, 502, 503, 504)
