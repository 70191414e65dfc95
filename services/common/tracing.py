"""Traces: recorded in memory while a request runs, sent to Opik by a background thread after it ended.

Recording costs microseconds on the event loop. Sending costs 21-38 ms of CPU per trace in the SDK, so a token bucket
bounds how many traces a second a process sends; whoever ends a trace says when it must be sent regardless. Nothing
here raises into a request or waits for Opik.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal

from services.common.ids import uuid7

logger = logging.getLogger(__name__)

SpanType = Literal["general", "tool", "llm"]

# Traces that wait for the sender; at the default budget this is 100 s of traffic.
MAX_WAITING_TRACES = 1000
END_TIMEOUT_SECONDS = 8
MAX_RECENT_TRACES = 2000


@dataclass
class Span:
    """One step of a trace. A context manager: leaving it ends the step, an exception ends it as an error."""

    name: str
    trace: Trace
    parent_id: str | None = None
    kind: SpanType = "general"
    input: dict[str, Any] = field(default_factory=dict)
    output: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    model: str | None = None
    provider: str | None = None
    usage: dict[str, int] | None = None
    error: dict[str, str] | None = None
    id: str = field(default_factory=uuid7)
    start_time: datetime = field(default_factory=lambda: datetime.now(UTC))
    end_time: datetime | None = None

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


@dataclass
class Trace:
    """What happened during one request: a tree of spans and what is known about the whole."""

    name: str
    id: str = field(default_factory=uuid7)
    input: dict[str, Any] = field(default_factory=dict)
    output: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    error: dict[str, str] | None = None
    spans: list[Span] = field(default_factory=list)
    start_time: datetime = field(default_factory=lambda: datetime.now(UTC))
    end_time: datetime | None = None

    def span(self, name: str, kind: SpanType = "general", *, parent: Span | None = None, **input: Any) -> Span:
        """A new step, below `parent` or at the top."""
        span = Span(name, self, parent.id if parent else None, kind, input)
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


class TokenBucket:
    """Lets `rate` events a second through on average, with bursts up to `burst`; not thread-safe (one event loop)."""

    def __init__(self, rate: float, burst: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = max(burst if burst is not None else rate, 1.0) if rate > 0 else 0.0
        self._tokens = self._burst
        self._clock = clock
        self._last = clock()

    def take(self) -> bool:
        """Whether one event may pass now."""
        if self.level() < 1:
            return False
        self._tokens -= 1
        return True

    def level(self) -> float:
        """Events that may pass at once now."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._last) * self._rate)
        self._last = now
        return self._tokens

    def seconds_until(self, level: float) -> float:
        """Time until `level` events may pass at once; 0 when they may now.

        Args:
            level: at most the burst, which is never exceeded.
        """
        missing = min(level, self._burst) - self.level()
        return max(0.0, missing / self._rate) if self._rate > 0 else float("inf")


class Tracer:
    """Sends finished traces to Opik within a budget."""

    def __init__(self, client: Callable[[], Any] | None, traces_per_second: float) -> None:
        """Prepare; `start` begins to send.

        Args:
            client: builds the `opik.Opik` client, called on the sender's thread (importing the SDK takes seconds);
                None sends nothing.
            traces_per_second: budget for traces that nobody insists on.
        """
        self._client = client
        self._bucket = TokenBucket(traces_per_second)
        self._queue: queue.Queue[Trace | None] = queue.Queue(MAX_WAITING_TRACES)
        self._thread: threading.Thread | None = None
        self._built: Any = None
        self._tried = threading.Event()
        self._recent: OrderedDict[str, None] = OrderedDict()
        self.dropped = 0
        """Finished traces that were not sent because the sender could not keep up."""

    def start(self) -> None:
        """Start the sender's thread."""
        if self._client is not None:
            self._thread = threading.Thread(target=self._run, name="tracer", daemon=True)
            self._thread.start()

    def submit(self, trace: Trace, *, always: bool = False) -> bool:
        """Hand a finished trace over; never blocks.

        Args:
            trace: must have ended.
            always: send even when the budget is spent (errors, requests sampled for evaluation).

        Returns:
            Whether the trace will be sent.
        """
        # The budget is charged in both cases, so that insisted traces make the others fewer.
        if self._thread is None or not (self._bucket.take() or always):
            return False
        try:
            self._queue.put_nowait(trace)
        except queue.Full:
            self.dropped += 1
            return False
        self._recent[trace.id] = None
        if len(self._recent) > MAX_RECENT_TRACES:
            self._recent.popitem(last=False)
        return True

    @property
    def enabled(self) -> bool:
        """Whether traces are sent anywhere."""
        return self._client is not None

    def opik(self, timeout_seconds: float) -> Any:
        """The `opik.Opik` client for other calls, which block as this one does; None when it is not built in time."""
        self._tried.wait(timeout_seconds)
        return self._built

    def sent_recently(self, trace_id: str) -> bool:
        """Whether this process took the trace, which may therefore still be on its way to Opik."""
        return trace_id in self._recent

    def stop(self, timeout_seconds: float = END_TIMEOUT_SECONDS) -> None:
        """Send what waits and close the client; blocks for at most about `timeout_seconds`, so not on an event loop."""
        if self._thread is None:
            return
        deadline = time.monotonic() + timeout_seconds
        try:
            self._queue.put(None, timeout=timeout_seconds)
        except queue.Full:
            logger.warning("traces are lost: the sender is stuck", extra={"waiting": self._queue.qsize()})
            return
        self._thread.join(max(0.1, deadline + 1 - time.monotonic()))
        if self._thread.is_alive():
            logger.warning("traces may be lost: Opik did not take them in time")
        self._thread = None

    def _run(self) -> None:
        client = self._build()
        while (trace := self._queue.get()) is not None:
            try:
                client = client or self._build()
                if client is not None:
                    send(client, trace)
            except Exception:
                logger.exception("a trace could not be handed to Opik", extra={"lost_trace_id": trace.id})
        if client is not None:
            client.end(timeout=END_TIMEOUT_SECONDS)

    def _build(self) -> Any:
        try:
            self._built = self._client() if self._client is not None else None
        except Exception:
            logger.exception("the Opik client cannot be built; traces are lost until it can")
        self._tried.set()
        return self._built


def send(client: Any, trace: Trace) -> None:
    """Send a finished trace: one message for the trace and one per span, each complete (no later update)."""
    sent = client.trace(
        id=trace.id,
        name=trace.name,
        start_time=trace.start_time,
        end_time=trace.end_time,
        input=trace.input,
        output=trace.output,
        metadata=trace.metadata,
        tags=trace.tags,
        error_info=trace.error,
    )
    for span in trace.spans:
        sent.span(
            id=span.id,
            parent_span_id=span.parent_id,
            name=span.name,
            type=span.kind,
            start_time=span.start_time,
            end_time=span.end_time,
            input=span.input,
            output=span.output,
            metadata=span.metadata or None,
            model=span.model,
            provider=span.provider,
            usage=span.usage,
            error_info=span.error,
        )
