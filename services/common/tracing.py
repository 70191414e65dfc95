"""Traces: recorded in memory while a request runs, sent to Opik in batches by a background thread after it ended.

Recording costs microseconds on the event loop. What monitoring takes in has a price too, so a token bucket bounds how
many traces a second a process sends; whoever ends a trace says when it must be sent regardless. Nothing here raises
into a request or waits for Opik.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, Protocol

import httpx

from services.common.ids import uuid7

logger = logging.getLogger(__name__)

SpanType = Literal["general", "tool", "llm"]

# Traces that wait for the sender. The last half is kept for those that must be sent; at the default budget the first
# one is 100 s of traffic.
MAX_WAITING_TRACES = 2000
MAX_WAITING_WITHIN_BUDGET = 1000
END_TIMEOUT_SECONDS = 8
MAX_RECENT_TRACES = 2000
# One body a second costs little more than one body a trace.
BATCH_SECONDS = 1.0
MAX_BATCH_TRACES = 50
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
# What may pass: the server's trouble, a limit, a proxy's. Anything else says the same to the next attempt.
_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass
class Span:
    """One step of a trace. A context manager: leaving it ends the step, an exception ends it as an error.

    Attributes:
        derived: it speaks in words taken from the question, where what identifies somebody is no longer recognised.
        cost_usd: what the step cost, in US dollars.
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
        """What is known about the whole."""
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
    """Where steps are recorded: a trace, or a step of it."""

    @property
    def metadata_of_trace(self) -> dict[str, Any]:
        """What is known about the whole."""
        ...

    def child(self, name: str, kind: SpanType = "general", **input: Any) -> Span:
        """A new step."""
        ...


@dataclass
class Trace:
    """What happened during one request: a tree of spans and what is known about the whole.

    Attributes:
        continued: it is the caller's, who writes it; only the spans are ours.
        parent_span_id: the caller's span that ours belong to.
        wanted: the caller insists on it.
    """

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
    continued: bool = False
    parent_span_id: str | None = None
    wanted: bool = False

    @property
    def metadata_of_trace(self) -> dict[str, Any]:
        """What is known about the whole."""
        return self.metadata

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


class TraceWriter(Protocol):
    """The part of `services.common.opik_api.OpikApi` that the tracer uses."""

    def write(self, traces: Sequence[Trace]) -> None:
        """Write finished traces; written again, they replace themselves. Raises httpx.HTTPError."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class Tracer:
    """Sends finished traces to Opik within a budget."""

    def __init__(
        self,
        writer: TraceWriter | None,
        traces_per_second: float,
        batch_seconds: float = BATCH_SECONDS,
        *,
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
        longest_pause_seconds: float = LONGEST_PAUSE_SECONDS,
    ) -> None:
        """Prepare; `start` begins to send.

        Args:
            writer: takes traces, on the sender's thread; closed at the end. None sends nothing.
            traces_per_second: budget for traces that nobody insists on.
            batch_seconds: how long a trace waits for others to be sent with.
            first_pause_seconds: after the first failed attempt; doubles with every further one.
            longest_pause_seconds: between two attempts.
        """
        self._writer = writer
        self._bucket = TokenBucket(traces_per_second)
        self._batch_seconds = batch_seconds
        self._first_pause = first_pause_seconds
        self._longest_pause = longest_pause_seconds
        self._deadline = float("inf")
        self._queue: queue.Queue[Trace | None] = queue.Queue(MAX_WAITING_TRACES)
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._recent: OrderedDict[str, None] = OrderedDict()
        self.dropped = 0
        """Finished traces that were not sent because the sender could not keep up."""

    def start(self) -> None:
        """Start the sender's thread."""
        if self._writer is not None:
            self._thread = threading.Thread(target=self._run, args=(self._writer,), name="tracer", daemon=True)
            self._thread.start()

    def submit(self, trace: Trace, *, always: bool = False) -> bool:
        """Hand a finished trace over; never blocks.

        Args:
            trace: must have ended; one that its caller wants is sent even when the budget is spent.
            always: send this one all the same (errors, requests sampled for evaluation).

        Returns:
            Whether the trace will be sent.
        """
        # The budget is charged in both cases, so that insisted traces make the others fewer.
        must = always or trace.wanted
        if self._thread is None or not (self._bucket.take() or must):
            return False
        if not must and self._queue.qsize() >= MAX_WAITING_WITHIN_BUDGET:
            self.dropped += 1
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
        return self._writer is not None

    def sent_recently(self, trace_id: str) -> bool:
        """Whether this process took the trace, which may therefore still be on its way to Opik."""
        return trace_id in self._recent

    def stop(self, timeout_seconds: float = END_TIMEOUT_SECONDS) -> None:
        """Send what waits and close the client; blocks for at most about `timeout_seconds`, so not on an event loop.

        What Opik does not take is offered again until then: it may be restarting as well.
        """
        if self._thread is None:
            return
        self._deadline = time.monotonic() + timeout_seconds
        self._stopping.set()
        try:
            self._queue.put(None, timeout=timeout_seconds)
        except queue.Full:
            logger.warning("traces are lost: the sender is stuck", extra={"waiting": self._queue.qsize()})
            return
        self._thread.join(max(0.1, self._deadline + 1 - time.monotonic()))
        if self._thread.is_alive():
            logger.warning("traces may be lost: Opik did not take them in time")
        self._thread = None

    def _run(self, writer: TraceWriter) -> None:
        ended = False
        while not ended:
            batch, ended = self._collect()
            if batch:
                self._deliver(writer, batch)
        writer.close()

    def _collect(self) -> tuple[list[Trace], bool]:
        """The next batch, and whether it is the last."""
        batch: list[Trace] = []
        first = self._queue.get()
        deadline = time.monotonic() + self._batch_seconds
        while first is not None:
            batch.append(first)
            if len(batch) == MAX_BATCH_TRACES:
                return batch, False
            # Nobody waits for company once the process is about to end.
            pause = 0.0 if self._stopping.is_set() else deadline - time.monotonic()
            try:
                first = self._queue.get(timeout=pause) if pause > 0 else self._queue.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _deliver(self, writer: TraceWriter, batch: list[Trace]) -> None:
        """Write a batch, again and again while the trouble may pass; what comes meanwhile waits in the queue."""
        pause = self._first_pause
        while True:
            try:
                writer.write(batch)
                return
            except Exception as error:  # noqa: BLE001 - monitoring fails alone: the thread must live
                reason = type(error).__name__
                lasting = not _may_pass(error)
            if lasting and len(batch) > 1:
                # One that Opik refuses takes none of the others with it.
                for trace in batch:
                    self._deliver(writer, [trace])
                return
            if lasting or (self._stopping.is_set() and time.monotonic() >= self._deadline):
                logger.error(
                    "traces were not taken by Opik and are lost", extra={"traces": len(batch), "reason": reason}
                )
                return
            logger.warning("Opik does not take traces now", extra={"traces": len(batch), "reason": reason})
            self._pause(pause)
            pause = min(pause * 2, self._longest_pause)

    def _pause(self, seconds: float) -> None:
        """Wait before the next attempt: less long once the process is about to end, and not beyond its deadline."""
        if not self._stopping.wait(seconds):
            return
        time.sleep(max(0.0, min(self._first_pause, self._deadline - time.monotonic())))


def _may_pass(error: Exception) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in _TRANSIENT_STATUS
    return isinstance(error, httpx.TransportError)
