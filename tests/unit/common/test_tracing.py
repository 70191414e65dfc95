"""Traces, their budget and their sender; log lines."""

from __future__ import annotations

import io
import json
import logging
import threading
import time
import uuid
from typing import Any

import pytest

from services.common.ids import uuid7
from services.common.logging import JsonFormatter, request_id_var
from services.common.tracing import MAX_WAITING_TRACES, TokenBucket, Trace, Tracer


class Client:
    """Records what the sender hands to Opik."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.spans: list[dict[str, Any]] = []
        self.ended = False
        self.gate = threading.Event()
        self.gate.set()

    def trace(self, **values: Any) -> Client:
        self.gate.wait(5)
        self.sent.append(values)
        return self

    def span(self, **values: Any) -> None:
        self.spans.append(values)

    def end(self, timeout: int) -> None:
        self.ended = True


def finished() -> Trace:
    trace = Trace("generate")
    trace.end()
    return trace


def test_ids_are_version_7_and_ordered_in_time() -> None:
    first = uuid7()
    time.sleep(0.002)
    second = uuid7()
    assert uuid.UUID(first).version == uuid.UUID(second).version == 7
    assert uuid.UUID(first).variant == uuid.RFC_4122
    assert first < second
    assert abs((uuid.UUID(first).int >> 80) / 1000 - time.time()) < 5


def test_an_error_ends_its_span_and_every_open_one() -> None:
    trace = Trace("generate")
    root = trace.span("generate")
    with root.child("fine"):
        pass
    with pytest.raises(ValueError, match="bad"), root.child("broken"):
        raise ValueError("bad")
    trace.end(RuntimeError("gone"))
    errors = {span.name: (span.error or {}).get("exception_type") for span in trace.spans}
    assert errors == {"generate": "RuntimeError", "fine": None, "broken": "ValueError"}
    assert all(span.end_time for span in trace.spans)


def test_bucket_lets_the_rate_through() -> None:
    now = [0.0]
    bucket = TokenBucket(2, clock=lambda: now[0])
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    now[0] += 0.5
    assert [bucket.take() for _ in range(2)] == [True, False]
    assert not TokenBucket(0).take()


def test_budget_drops_but_insisted_traces_pass() -> None:
    client = Client()
    tracer = Tracer(lambda: client, traces_per_second=0)
    tracer.start()
    assert tracer.submit(finished()) is False
    kept = finished()
    assert tracer.submit(kept, always=True) is True
    tracer.stop()
    assert [sent["id"] for sent in client.sent] == [kept.id]
    assert client.ended


def test_spans_are_sent_with_their_parents() -> None:
    client = Client()
    tracer = Tracer(lambda: client, traces_per_second=10)
    tracer.start()
    trace = Trace("generate")
    with trace.span("generate") as root, root.child("embed"):
        pass
    trace.end()
    tracer.submit(trace)
    tracer.stop()
    assert [span["name"] for span in client.spans] == ["generate", "embed"]
    assert client.spans[1]["parent_span_id"] == client.spans[0]["id"]


def test_a_stuck_sender_never_blocks_and_counts_what_it_drops() -> None:
    client = Client()
    client.gate.clear()
    tracer = Tracer(lambda: client, traces_per_second=0)
    tracer.start()
    started = time.monotonic()
    accepted = sum(tracer.submit(finished(), always=True) for _ in range(MAX_WAITING_TRACES + 50))
    assert time.monotonic() - started < 2
    assert tracer.dropped == MAX_WAITING_TRACES + 50 - accepted > 0
    client.gate.set()
    tracer.stop()
    assert len(client.sent) == accepted


def test_a_client_that_cannot_be_built_harms_nobody() -> None:
    def build() -> Any:
        raise OSError("no network")

    tracer = Tracer(build, traces_per_second=10)
    tracer.start()
    assert tracer.submit(finished()) is True
    tracer.stop()


def test_log_lines_are_json_with_ids_and_extras() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("test-json")
    logger.addHandler(handler)
    logger.propagate = False
    token = request_id_var.set("r-1")
    logger.warning("line\n%s", "two", extra={"status": 503})
    request_id_var.reset(token)
    logger.removeHandler(handler)
    (line,) = stream.getvalue().splitlines()
    found = json.loads(line)
    assert found["message"] == "line\ntwo" and found["status"] == 503
    assert found["request_id"] == "r-1" and found["level"] == "WARNING"
