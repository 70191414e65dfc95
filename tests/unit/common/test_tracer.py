"""The sender of traces: budget, batches, and behaviour while Opik is unavailable."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Sequence
from typing import IO

import httpx
import pytest

from services.common.spill import SpillFile
from services.common.tracer import MAX_BATCH_TRACES, MAX_IN_MEMORY, MAX_WAITING_WITHIN_BUDGET, Tracer
from services.common.tracing import Trace


class Writer:
    """Records the ids of written traces; fails a given number of times."""

    def __init__(self, *failures: Exception) -> None:
        self.sent: list[str] = []
        self.batches: list[int] = []
        self.failures = list(failures)
        self.closed = False
        self.gate = threading.Event()
        self.gate.set()

    def encode(self, trace: Trace) -> bytes:
        return trace.id.encode()

    def write(self, encoded: Sequence[bytes]) -> None:
        self.gate.wait(30)
        if self.failures:
            raise self.failures.pop(0)
        self.sent.extend(each.decode() for each in encoded)
        self.batches.append(len(encoded))

    def close(self) -> None:
        self.closed = True


class Away(Writer):
    """Takes nothing until it is back."""

    def __init__(self) -> None:
        super().__init__()
        self.back = False

    def write(self, encoded: Sequence[bytes]) -> None:
        if not self.back:
            raise httpx.ConnectError("refused")
        super().write(encoded)


def refused(status: int) -> httpx.HTTPStatusError:
    request = httpx.Request("POST", "http://opik/api")
    return httpx.HTTPStatusError("refused", request=request, response=httpx.Response(status, request=request))


def finished() -> Trace:
    trace = Trace("generate")
    trace.end()
    return trace


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def tracer_of(writer: Writer, *, max_in_memory: int = 100, spill: SpillFile | None = None) -> Tracer:
    """One that tries again at once; nothing is within its budget."""
    tracer = Tracer(
        writer,
        traces_per_second=0,
        batch_seconds=0,
        max_in_memory=max_in_memory,
        spill=spill,
        first_pause_seconds=0.01,
        longest_pause_seconds=0.02,
    )
    tracer.start()
    return tracer


def offer(tracer: Tracer, traces: int) -> list[str]:
    """Insist on so many, at the sender's pace."""
    ids = []
    for _ in range(traces):
        trace = finished()
        eventually(functools.partial(tracer.submit, trace, always=True))
        ids.append(trace.id)
    return ids


def test_budget_drops_but_insisted_traces_pass() -> None:
    writer = Writer()
    tracer = Tracer(writer, traces_per_second=0)
    tracer.start()
    assert tracer.submit(finished()) is False
    kept = finished()
    assert tracer.submit(kept, always=True) is True
    tracer.stop()
    assert writer.sent == [kept.id]
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
    assert writer.sent == ids
    assert len(writer.batches) <= 4 and max(writer.batches) <= MAX_BATCH_TRACES


@pytest.mark.parametrize("trouble", [refused(503), httpx.ConnectError("refused"), httpx.ReadTimeout("late")])
def test_trouble_that_may_pass_loses_nothing(trouble: Exception) -> None:
    writer = Writer(trouble)
    tracer = Tracer(writer, traces_per_second=0, batch_seconds=0.01)
    tracer.start()
    trace = finished()
    tracer.submit(trace, always=True)
    deadline = time.monotonic() + 30
    while not writer.sent and time.monotonic() < deadline:
        time.sleep(0.02)
    tracer.stop()
    assert writer.sent == [trace.id]


@pytest.mark.parametrize("trouble", [refused(400), ValueError("a bug")])
def test_a_batch_that_is_refused_harms_only_itself(trouble: Exception, caplog: pytest.LogCaptureFixture) -> None:
    writer = Writer(trouble)
    tracer = Tracer(writer, traces_per_second=0, batch_seconds=0.01)
    tracer.start()
    tracer.submit(finished(), always=True)
    deadline = time.monotonic() + 30
    while writer.failures and time.monotonic() < deadline:
        time.sleep(0.02)
    second = finished()
    tracer.submit(second, always=True)
    tracer.stop()
    assert writer.sent == [second.id]
    assert "are lost" in caplog.text


def test_a_stuck_sender_never_blocks_and_counts_what_it_drops() -> None:
    writer = Writer()
    writer.gate.clear()
    tracer = Tracer(writer, traces_per_second=0, batch_seconds=0)
    tracer.start()
    started = time.monotonic()
    offered = MAX_IN_MEMORY + MAX_BATCH_TRACES + 50
    accepted = sum(tracer.submit(finished(), always=True) for _ in range(offered))
    assert time.monotonic() - started < 15
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
    assert time.monotonic() - started < 20


def test_one_refused_trace_takes_none_of_its_batch_with_it() -> None:
    bad = finished()

    class Picky(Writer):
        def write(self, encoded: Sequence[bytes]) -> None:
            if bad.id.encode() in encoded:
                raise refused(400)
            super().write(encoded)

    writer = Picky()
    tracer = Tracer(writer, traces_per_second=0, batch_seconds=0.5)
    tracer.start()
    good = [finished() for _ in range(3)]
    for trace in (good[0], bad, *good[1:]):
        assert tracer.submit(trace, always=True)
    tracer.stop()
    assert set(writer.sent) == {trace.id for trace in good}


def test_room_is_kept_for_traces_that_somebody_wants() -> None:
    writer = Writer()
    writer.gate.clear()
    tracer = Tracer(writer, traces_per_second=10 * MAX_IN_MEMORY, batch_seconds=0)
    tracer.start()
    ordinary = sum(tracer.submit(finished()) for _ in range(MAX_IN_MEMORY))
    wanted = Trace("generate", wanted=True)
    wanted.end()
    assert ordinary < MAX_IN_MEMORY and tracer.submit(wanted)
    writer.gate.set()
    tracer.stop()
    assert len(writer.sent) == ordinary + 1 and wanted.id in writer.sent


def test_what_memory_does_not_hold_waits_in_the_file() -> None:
    writer = Away()
    tracer = tracer_of(writer, max_in_memory=20)
    ids = offer(tracer, 300)
    writer.back = True
    tracer.stop()
    assert sorted(writer.sent) == sorted(ids)
    assert tracer.waiting == 0


def test_the_file_is_bounded_and_then_memory_is() -> None:
    writer = Away()
    tracer = tracer_of(writer, max_in_memory=20, spill=SpillFile(max_bytes=2000))
    ids = []
    for trace in (finished() for _ in range(400)):
        if tracer.submit(trace, always=True):
            ids.append(trace.id)
        else:
            time.sleep(0.001)
    assert 20 < len(ids) < 400 and tracer.dropped == 400 - len(ids)
    writer.back = True
    tracer.stop()
    assert sorted(writer.sent) == sorted(ids)


def test_a_full_disk_costs_the_room_and_no_trace(full_disk: Callable[[], IO[bytes]]) -> None:
    writer = Away()
    tracer = tracer_of(writer, spill=SpillFile(opener=full_disk))
    ids = offer(tracer, 30)
    writer.back = True
    tracer.stop()
    assert sorted(writer.sent) == sorted(ids)


def test_traces_that_nobody_insists_on_do_not_fill_the_file() -> None:
    writer = Away()
    tracer = Tracer(writer, traces_per_second=10_000, batch_seconds=0, first_pause_seconds=0.01)
    tracer.start()
    accepted = 0
    for _ in range(3 * MAX_WAITING_WITHIN_BUDGET):
        accepted += tracer.submit(finished())
    eventually(lambda: tracer.waiting > 0)
    # One batch is in the sender's hand, and one may be on its way to the file.
    assert accepted <= MAX_WAITING_WITHIN_BUDGET + 2 * MAX_BATCH_TRACES
    assert tracer.submit(finished(), always=True)
    writer.back = True
    tracer.stop()
    assert len(writer.sent) == accepted + 1


def test_a_trace_that_cannot_be_encoded_takes_no_other_with_it(caplog: pytest.LogCaptureFixture) -> None:
    bad = finished()

    class Picky(Writer):
        def encode(self, trace: Trace) -> bytes:
            if trace is bad:
                raise TypeError("no JSON")
            return super().encode(trace)

    writer = Picky()
    tracer = tracer_of(writer)
    assert tracer.submit(bad, always=True)
    (good,) = offer(tracer, 1)
    tracer.stop()
    assert writer.sent == [good] and "are lost" in caplog.text
