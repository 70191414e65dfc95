"""What a caller sees of an answer in the making."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Question:
    """A question as the API accepted it.

    Attributes:
        query: the question.
        enable_rag: whether to retrieve documents.
        author: answer only from this author's documents.
        request_id: of the HTTP request.
        received: `time.perf_counter()` when the request arrived; times to a caller count from here.
    """

    query: str
    enable_rag: bool
    author: str | None
    request_id: str
    received: float


@dataclass(frozen=True)
class Status:
    """The pipeline entered a state."""

    state: Literal["retrieving", "generating"]


@dataclass(frozen=True)
class Token:
    """New text of the answer."""

    text: str


@dataclass(frozen=True)
class Sources:
    """The documents that the model saw, in the order in which it saw them."""

    sources: list[dict[str, Any]]


@dataclass(frozen=True)
class Done:
    """The answer is complete.

    Attributes:
        trace_id: id of the trace in Opik.
        model: id of the model.
        usage: `prompt_tokens`, `completion_tokens`, `total_tokens`, and whether they are `estimated`.
        timings: `ttft_ms`, `tpot_ms`, `total_ms` and `steps` with the milliseconds of each step.
    """

    trace_id: str
    model: str
    usage: dict[str, Any]
    timings: dict[str, Any]


Event = Status | Token | Sources | Done
