"""Traces, their budget and their sender; log lines."""

from __future__ import annotations

import io
import json
import logging
import threading
import time
import uuid
from collections.abc import Sequence

import httpx
import pytest

from services.common.ids import uuid7
from services.common.logging import JsonFormatter, request_id_var
from services.common.tracing import MAX_BATCH_TRACES, MAX_WAITING_TRACES, TokenBucket, Trace, Tracer


class Writer:
    """Records what the sender writes; fails as often as told."""

    def __init__(self, *failures: Exception) -> None:
        self.sent: list[Trace] = []
        self.batches: list[int] = []
        self.failures = list(failures)
        self.closed = False
        self.gate = threading.Event()
        self.gate.set()

    def write(self, traces: Sequence[Trace]) -> None:
        self.gate.wait(5)
        if self.failures:
            raise self.failures.pop(0)
        self.sent.extend(traces)
        self.batches.append(len(traces))

    def close(self) -> None:
        self.closed = True


def refused(status: int) -> httpx.HTTPStatusError:
    request = httpx.Request("POST", "http://opik/api")
    return httpx.HTTPStatusError("refused", request=request, response=httpx.Response(status, request=request))


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
    writer = Writer()
    tracer = Tracer(writer, traces_per_second=0)
    tracer.start()
    assert tracer.submit(finished()) is False
    kept = finished()
    assert tracer.submit(kept, always=True) is True
    tracer.stop()
    assert [sent.id for sent in writer.sent] == [kept.id]
    assert writer.closed


def test_traces_that_come_together_are_sent_together() -> None:
    writer = Writer()
    writer.gate.clear()
    tracer = Tracer(writer, traces_per_second=0, batch_seconds=0.01)
    tracer.start()
    ids = []
    for _ in range(MAX_BATCH_TRACES + 20):
        trace = finished()
        ids.append(trace.id)
        tracer.submit(trace, always=True)
    writer.gate.set()
    tracer.stop()
    assert [trace.id for trace in writer.sent] == ids
    assert len(writer.batches) <= 4 and max(writer.batches) <= MAX_BATCH_TRACES


@pytest.mark.parametrize("trouble", [refused(503), httpx.ConnectError("refused"), httpx.ReadTimeout("late")])
def test_trouble_that_may_pass_loses_nothing(trouble: Exception) -> None:
    writer = Writer(trouble)
    tracer = Tracer(writer, traces_per_second=0, batch_seconds=0.01)
    tracer.start()
    trace = finished()
    tracer.submit(trace, always=True)
    deadline = time.monotonic() + 10
    while not writer.sent and time.monotonic() < deadline:
        time.sleep(0.02)
    tracer.stop()
    assert [sent.id for sent in writer.sent] == [trace.id]


@pytest.mark.parametrize("trouble", [refused(400), ValueError("a bug")])
def test_a_batch_that_is_refused_harms_only_itself(trouble: Exception, caplog: pytest.LogCaptureFixture) -> None:
    writer = Writer(trouble)
    tracer = Tracer(writer, traces_per_second=0, batch_seconds=0.01)
    tracer.start()
    tracer.submit(finished(), always=True)
    deadline = time.monotonic() + 10
    while writer.failures and time.monotonic() < deadline:
        time.sleep(0.02)
    second = finished()
    tracer.submit(second, always=True)
    tracer.stop()
    assert [sent.id for sent in writer.sent] == [second.id]
    assert "are lost" in caplog.text


def test_a_stuck_sender_never_blocks_and_counts_what_it_drops() -> None:
    writer = Writer()
    writer.gate.clear()
    tracer = Tracer(writer, traces_per_second=0, batch_seconds=0)
    tracer.start()
    started = time.monotonic()
    offered = MAX_WAITING_TRACES + MAX_BATCH_TRACES + 50
    accepted = sum(tracer.submit(finished(), always=True) for _ in range(offered))
    assert time.monotonic() - started < 2
    assert tracer.dropped == offered - accepted > 0
    writer.gate.set()
    tracer.stop()
    assert len(writer.sent) == accepted


def test_an_opik_that_is_down_does_not_hold_up_the_end() -> None:
    tracer = Tracer(Writer(*(httpx.ConnectError("refused") for _ in range(100))), traces_per_second=10)
    tracer.start()
    assert tracer.submit(finished()) is True
    started = time.monotonic()
    tracer.stop(1.0)
    assert time.monotonic() - started < 5


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


def test_one_refused_trace_takes_none_of_its_batch_with_it() -> None:
    bad = finished()

    class Picky(Writer):
        def write(self, traces: Sequence[Trace]) -> None:
            if bad in traces:
                raise refused(400)
            super().write(traces)

    writer = Picky()
    tracer = Tracer(writer, traces_per_second=0, batch_seconds=0.5)
    tracer.start()
    good = [finished() for _ in range(3)]
    for trace in (good[0], bad, *good[1:]):
        assert tracer.submit(trace, always=True)
    tracer.stop()
    assert {trace.id for trace in writer.sent} == {trace.id for trace in good}


def test_room_is_kept_for_traces_that_somebody_wants() -> None:
    writer = Writer()
    writer.gate.clear()
    tracer = Tracer(writer, traces_per_second=10 * MAX_WAITING_TRACES, batch_seconds=0)
    tracer.start()
    ordinary = sum(tracer.submit(finished()) for _ in range(MAX_WAITING_TRACES))
    wanted = Trace("generate", wanted=True)
    wanted.end()
    assert ordinary < MAX_WAITING_TRACES and tracer.submit(wanted)
    writer.gate.set()
    tracer.stop()
    assert len(writer.sent) == ordinary + 1 and wanted in writer.sent
