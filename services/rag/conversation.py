"""Vocabulary of the service: a question with its options, and the events and the end of its answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal


class ClientDisconnected(Exception):
    """The caller went away before the answer was complete."""


@dataclass(frozen=True)
class Turn:
    """An earlier message of the conversation."""

    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True)
class Sampling:
    """Options of the model's sampling; None means the service's own setting.

    Attributes:
        temperature: 0 (always the likeliest token) to 2.
        top_p: share of the probability mass to choose from, above 0 to 1.
        max_tokens: longest answer.
        stop: texts that end the answer.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    """A question with its options, validated by the API.

    Attributes:
        query: the question.
        enable_rag: whether to retrieve documents.
        author: answer only from this author's documents.
        request_id: of the HTTP request.
        received: `time.perf_counter()` when the request arrived; times to a caller count from here.
        history: earlier turns, oldest first; those that do not fit are left out, starting with the oldest.
        system: the caller's own instructions to the model.
        sampling: how to generate.
        allow_without_context: answer without documents when retrieval is down, instead of failing.
        wake_timeout_seconds: longest wait for a model that sleeps.
    """

    query: str
    enable_rag: bool
    author: str | None
    request_id: str
    received: float
    history: tuple[Turn, ...] = ()
    system: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    allow_without_context: bool = False
    wake_timeout_seconds: float = 0.0


@dataclass(frozen=True)
class Status:
    """The pipeline entered a state; `waking` is repeated, which keeps the connection open.

    Attributes:
        state: the state that was entered.
        waited_seconds: how long this request has waited for the model to wake; None in other states.
    """

    state: Literal["waking", "retrieving", "generating"]
    waited_seconds: float | None = None


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
        finish_reason: why the model stopped, as OpenAI names it (`stop`, `length`).
        degraded: parts of the service that were unavailable for the answer (`retrieval`, `rerank`).
    """

    trace_id: str
    model: str
    usage: dict[str, Any]
    timings: dict[str, Any]
    finish_reason: str = "stop"
    degraded: tuple[str, ...] = ()


Event = Status | Token | Sources | Done


@dataclass(frozen=True)
class Answer:
    """A complete answer, in one piece."""

    text: str
    sources: list[dict[str, Any]]
    done: Done


async def collect(events: AsyncGenerator[Event, None]) -> Answer:
    """Collect the events of an answer into one piece.

    Raises:
        RuntimeError: the events ended without a `Done`; the pipeline never does that.
    """
    texts: list[str] = []
    sources: list[dict[str, Any]] = []
    done: Done | None = None
    async with aclosing(events):
        # Read to the end: closing after `Done` would count as a caller that went away.
        async for event in events:
            if isinstance(event, Token):
                texts.append(event.text)
            elif isinstance(event, Sources):
                sources = event.sources
            elif isinstance(event, Done):
                done = event
    if done is None:
        raise RuntimeError("the answer has no end")
    return Answer("".join(texts), sources, done)
