"""Prometheus metrics of one application, and the record of a request that CloudWatch gets."""

from __future__ import annotations

from collections import Counter as Tally
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client import Enum as State

Breaker = Literal["closed", "half_open", "open"]
SERVER_ERROR = 500
SHED_REASONS = ("rate_limit", "requests", "cpu", "llm", "waking")

# Seconds. From a status page (1 ms) over a first token (tens of ms to seconds) to the longest generation.
REQUEST_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
TTFT_BUCKETS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 3, 5, 10, 30, 60, 120, 300)
TPOT_BUCKETS = (0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1)
RETRIEVAL_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2.5, 5, 10)
TOKEN_BUCKETS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)


@dataclass(frozen=True)
class Measured:
    """Measurements of one question; None for what did not happen. Times in seconds.

    Attributes:
        ttft: request received to first token.
        tpot: time per further token.
        prompt_tokens, completion_tokens: as counted by the engine, else estimated.
        retrieval: searching all collections.
        rerank: ordering what was found.
    """

    ttft: float | None = None
    tpot: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    retrieval: float | None = None
    rerank: float | None = None


@dataclass
class RequestRecord:
    """Measurements of the current request; set by the pipeline, read when the request ends."""

    measured: Measured | None = None


def is_server_error(status: int, error_status: int | None) -> bool:
    """Whether a request failed in the service, by its HTTP status or by an error that came after that was sent."""
    return max(status, error_status or 0) >= SERVER_ERROR


_record: ContextVar[RequestRecord | None] = ContextVar("request_record", default=None)


class Metrics:
    """All metrics of one application, in their own registry; for one event loop."""

    def __init__(self) -> None:
        # The library would add a creation time per series, which is not used and doubles what is scraped and stored.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's own lacks a type
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = self._counter("twin_requests", "Requests by route and status.", "method", "route", "status")
        self._server_errors = self._counter(
            "twin_server_errors", "Requests that failed in the service, also after their HTTP status was sent.", "route"
        )
        self._seconds = self._histogram(
            "twin_request_seconds", "Request received to last byte sent.", REQUEST_BUCKETS, "route"
        )
        self._ttft = self._histogram("twin_ttft_seconds", "Request received to first token.", TTFT_BUCKETS)
        self._tpot = self._histogram("twin_tpot_seconds", "Time per token after the first.", TPOT_BUCKETS)
        self._tokens = {
            kind: self._histogram(f"twin_{kind}_tokens", f"Tokens of a {kind}.", TOKEN_BUCKETS)
            for kind in ("prompt", "answer")
        }
        self._retrieval = self._histogram("twin_retrieval_seconds", "Searching all collections.", RETRIEVAL_BUCKETS)
        self._rerank = self._histogram("twin_rerank_seconds", "Ordering what was found.", RETRIEVAL_BUCKETS)
        self._held = Gauge("twin_held_requests", "Requests that wait for the model to wake.", registry=self._registry)
        self._shed = self._counter("twin_shed_requests", "Requests refused under load, by reason.", "reason")
        for reason in SHED_REASONS:
            self._shed.labels(reason)  # so that a rate over it is 0 and not missing
        self._breakers = State(
            "twin_breaker_state",
            "State of the circuit breaker of each dependency.",
            ["dependency"],
            states=["closed", "half_open", "open"],
            registry=self._registry,
        )
        self.held_now = 0
        """Requests that wait for the model to wake."""
        self._shed_since: Tally[str] = Tally()

    def start_request(self) -> RequestRecord:
        """Begin the record of the current request, which `observe_answer` fills."""
        record = RequestRecord()
        _record.set(record)
        return record

    def observe_request(
        self, method: str, route: str, status: int, seconds: float, *, error_status: int | None = None
    ) -> None:
        """Count a request that ended; `seconds` are from request received to last byte.

        `error_status` is that of an error that came after the HTTP status was sent. `route` is the path's pattern,
        never the path: series would have no bound.
        """
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        if is_server_error(status, error_status):
            self._server_errors.labels(route).inc()

    def observe_answer(self, measured: Measured) -> None:
        """Observe the measurements of a question that ended, answered or not."""
        for histogram, value in (
            (self._ttft, measured.ttft),
            (self._tpot, measured.tpot),
            (self._tokens["prompt"], measured.prompt_tokens),
            (self._tokens["answer"], measured.completion_tokens),
            (self._retrieval, measured.retrieval),
            (self._rerank, measured.rerank),
        ):
            if value is not None:
                histogram.observe(value)
        if (record := _record.get()) is not None:
            record.measured = measured

    def set_held(self, n: int) -> None:
        """Set the number of requests that wait for the model to wake."""
        self.held_now = n
        self._held.set(n)

    def count_shed(self, reason: str) -> None:
        """Count a request that was refused under load."""
        self._shed.labels(reason).inc()
        self._shed_since[reason] += 1

    def take_shed(self) -> int:
        """Number of requests refused since the last call."""
        count = self._shed_since.total()
        self._shed_since.clear()
        return count

    def set_breaker_state(self, dependency: str, state: Breaker) -> None:
        """Set the state of a dependency's circuit breaker."""
        self._breakers.labels(dependency).state(state)

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(name, meaning, labels, registry=self._registry)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, meaning, labels, buckets=buckets, registry=self._registry)
