"""Requests and responses of the business API."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

# About 1,000 tokens: a question, not a document.
MAX_QUERY_CHARS = 4000


class RagRequest(BaseModel):
    """Body of `POST /rag`."""

    model_config = ConfigDict(extra="forbid")

    query: str = Field(max_length=MAX_QUERY_CHARS, description="the question")
    enable_rag: bool = Field(default=True, description="whether to retrieve documents for the answer")
    author: str | None = Field(default=None, min_length=1, max_length=200, description="only this author's documents")
    stream: bool = Field(default=False, description="answer with Server-Sent Events")

    @field_validator("query")
    @classmethod
    def _says_something(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("must not be empty")
        return value.strip()


class Source(BaseModel):
    """A document that the model saw."""

    id: int
    title: str
    author: str
    type: str
    url: str
    document_id: str
    chunk_index: int
    score: float


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


class RagResponse(BaseModel):
    """Answer of `POST /rag` without streaming."""

    answer: str
    sources: list[Source]
    trace_id: str
    model: str
    usage: Usage
    timings: Timings


class Dependency(BaseModel):
    """State of one dependency."""

    state: Literal["ok", "down"]
    detail: str | None = None


class Readiness(BaseModel):
    """Answer of `GET /readyz`."""

    status: Literal["ready", "not_ready"]
    dependencies: dict[str, Dependency]


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: str
    message: str
    request_id: str


class ErrorResponse(BaseModel):
    """Every error of the API."""

    error: ErrorDetail


ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse} for status in (401, 408, 413, 422, 500, 502, 503, 504)
}
