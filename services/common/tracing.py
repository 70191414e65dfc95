"""Traces, recorded in memory during a request at a cost of microseconds; `tracer` sends them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, Protocol

from services.common.ids import marked_uuid7, uuid7

SpanType = Literal["general", "tool", "llm"]


@dataclass
class Span:
    """One step of a trace. A context manager: leaving it ends the step, an exception ends it as an error.

    Attributes:
        derived: its text is derived from the question, so that personal data in it is no longer recognised.
        cost_usd: cost of the step in US dollars.
    """

    name: str
    trace: Trace
    parent_id: str | None = None
    kind: SpanType = "general"
    input: dict[str, Any] = field(default_factory=dict)
    output: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    model: str | None = None
    provider: str | None = None
    usage: dict[str, int] | None = None
    cost_usd: float | None = None
    derived: bool = False
    error: dict[str, str] | None = None
    id: str = field(default_factory=uuid7)
    start_time: datetime = field(default_factory=lambda: datetime.now(UTC))
    end_time: datetime | None = None

    @property
    def metadata_of_trace(self) -> dict[str, Any]:
        """Metadata of the whole trace."""
        return self.trace.metadata

    def child(self, name: str, kind: SpanType = "general", **input: Any) -> Span:
        """A new step inside this one."""
        return self.trace.span(name, kind, parent=self, **input)

    def __enter__(self) -> Span:
        return self

    def __exit__(self, _type: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is not None:
            self.error = error_info(error)
        self.end_time = datetime.now(UTC)

    @property
    def duration_ms(self) -> float:
        """Time between start and end; 0 while the step runs."""
        return (self.end_time - self.start_time).total_seconds() * 1000 if self.end_time else 0.0


class Scope(Protocol):
    """Parent of recorded steps: a trace, or a step of it."""

    @property
    def metadata_of_trace(self) -> dict[str, Any]:
        """Metadata of the whole trace."""
        ...

    def child(self, name: str, kind: SpanType = "general", **input: Any) -> Span:
        """A new step."""
        ...


@dataclass
class Trace:
    """Record of one request: a tree of spans and metadata of the whole.

    Attributes:
        owner: name of the API key that asked.
        continued: it is the caller's, who writes it; only the spans are ours.
        parent_span_id: the caller's span that ours belong to.
        wanted: the caller insists on it.
        unsampled: the answer is never offered to the evaluation: its question is a test, not one that a user asked.
    """

    name: str
    id: str = field(default_factory=marked_uuid7)
    input: dict[str, Any] = field(default_factory=dict)
    output: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    error: dict[str, str] | None = None
    spans: list[Span] = field(default_factory=list)
    start_time: datetime = field(default_factory=lambda: datetime.now(UTC))
    end_time: datetime | None = None
    owner: str = ""
    continued: bool = False
    parent_span_id: str | None = None
    wanted: bool = False
    unsampled: bool = False

    @property
    def metadata_of_trace(self) -> dict[str, Any]:
        """Metadata of the whole trace."""
        return self.metadata

    @property
    def sample_id(self) -> str:
        """Id of the answer's sample: that of the trace, or of the first step in a caller's trace.

        A caller may name any trace, also that of another answer, whose sample must stay.
        """
        return self.spans[0].id if self.continued and self.spans else self.id

    def child(self, name: str, kind: SpanType = "general", **input: Any) -> Span:
        """A new step at the top."""
        return self.span(name, kind, **input)

    def span(self, name: str, kind: SpanType = "general", *, parent: Span | None = None, **input: Any) -> Span:
        """A new step, below `parent` or at the top."""
        span = Span(name, self, parent.id if parent else self.parent_span_id, kind, input)
        self.spans.append(span)
        return span

    def end(self, error: BaseException | None = None) -> None:
        """Close the trace, and every step that is still open with the same error."""
        self.end_time = datetime.now(UTC)
        if error is not None:
            self.error = error_info(error)
        for span in self.spans:
            if span.end_time is None:
                span.end_time, span.error = self.end_time, span.error or self.error


def error_info(error: BaseException) -> dict[str, str]:
    """An exception in Opik's shape."""
    return {"exception_type": type(error).__name__, "message": str(error), "traceback": ""}
