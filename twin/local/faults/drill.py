"""Runs the drills one after the other: load before, during and after each fault, then what was lost."""

from __future__ import annotations

import contextlib
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from twin.local.faults import inject
from twin.local.faults.accounting import Owed, missing
from twin.local.faults.calls import FEEDBACK, WHOLE, Call
from twin.local.faults.documents import ingesting
from twin.local.faults.door import Door, door, drill_key
from twin.local.faults.load import Load, load, wait_until_answered
from twin.local.faults.promises import Promise
from twin.target.deployment import outputs
from twin.target.errors import TwinError
from twin.target.progress import Progress
from twin.target.stage import Stage

BEFORE_SECONDS = 1.5
AFTER_SECONDS = 1.0
READY_SECONDS = 90.0
GIVEN_UP_SECONDS = 2.0
"""Time beyond its limit after which a caller gives up: what comes in between is late, and seen as what it is."""


@dataclass
class Seen:
    """What was seen of one promise.

    Attributes:
        answers: number of questions by how they ended.
        feedback: number of ratings by how they ended.
        longest_seconds: longest time until an answer or its error had ended.
        back_seconds: from the end of the fault to the end of the first whole answer; None when none came in time.
        lost: what did not arrive, by kind.
        ingest: how the ingest beside it ended, empty without one.
        broken: what the promise does not allow; empty when it was kept.
        not_available: why the fault was not drilled on this machine, empty when it was.
    """

    promise: Promise
    answers: Counter[str] = field(default_factory=Counter)
    feedback: Counter[str] = field(default_factory=Counter)
    longest_seconds: float = 0.0
    back_seconds: float | None = None
    lost: dict[str, int] = field(default_factory=dict)
    ingest: str = ""
    broken: list[str] = field(default_factory=list)
    not_available: str = ""

    @property
    def verdict(self) -> str:
        """Kept, broken and by what, or not available."""
        if self.not_available:
            return f"not available: {self.not_available}"
        return f"BROKEN: {'; '.join(self.broken)}" if self.broken else "kept"


def drill(stage: Stage, promises: Sequence[Promise], progress: Progress, *, callers: int, seconds: float) -> list[Seen]:
    """Drill each fault under load and compare what is seen with what is promised.

    Whatever ends it: every process goes on, limits are as before, and the drill's API key and documents are gone.

    Args:
        callers: that ask at the same time.
        seconds: length of a fault that does not kill.

    Raises:
        TwinError: the stage is not local, does not answer, or does not come back after a fault.
    """
    if stage.local is None:
        raise TwinError("Faults are drilled on the local cloud only: its processes run on this machine.")
    found = outputs(stage)
    results: list[Seen] = []
    with _endings_as_interrupts(), drill_key(stage, found) as key:
        for number, promise in enumerate(promises, 1):
            progress(f"{number}/{len(promises)} {promise.name}")
            wait_until_answered(door(found, key, balanced=True), READY_SECONDS)
            way = door(found, key, balanced=promise.part != "aws")
            seen = _drilled(stage, found, way, promise, callers, seconds)
            progress(f"    {seen.verdict}")
            results.append(seen)
    return results


def _drilled(stage: Stage, found: dict[str, str], way: Door, promise: Promise, callers: int, seconds: float) -> Seen:
    if not inject.available(promise.fault):
        return Seen(promise, not_available="this system cannot limit the files of a running process")
    with ExitStack() as stack:
        written = stack.enter_context(ingesting(stage)) if promise.part == "qdrant" else None
        with load(way, callers, promise.within_seconds + GIVEN_UP_SECONDS) as asked:
            struck_at, over_at = _strike(promise, asked, seconds)
            back = asked.wait_for_whole(over_at, promise.back_seconds)
            time.sleep(AFTER_SECONDS)
        seen = compared(promise, asked.calls, back.ended - over_at if back else None)
        left = missing(stage, found, Owed.of(asked.calls, struck_at, promise.lost_seconds))
        seen.lost = {"traces": len(left.traces), "samples": len(left.samples), "feedback": len(left.feedback)}
        if written is not None:
            seen.lost["documents"] = written.lost()
            seen.ingest = f"refused, then repeated: {written.refused}" if written.refused else "done"
    seen.broken += [f"{count} {what} lost" for what, count in seen.lost.items() if count]
    return seen


def _strike(promise: Promise, asked: Load, seconds: float) -> tuple[float, float]:
    """Inject the fault once callers are answered; when it began and when it was over."""
    if asked.wait_for_whole(0.0, READY_SECONDS) is None:
        raise TwinError("The stage answers no question under load, so no drill can run.")
    time.sleep(BEFORE_SECONDS)
    targets = inject.processes(promise.part, inject.state())
    struck_at = time.monotonic()
    with inject.injected(promise.fault, targets):
        if promise.fault != "kill":
            time.sleep(seconds)
    return struck_at, time.monotonic()


def compared(promise: Promise, calls: Sequence[Call], back: float | None) -> Seen:
    """The calls beside the promise."""
    asked = [call for call in calls if call.kind != FEEDBACK]
    rated = [call for call in calls if call.kind == FEEDBACK]
    seen = Seen(promise, Counter(call.seen for call in asked), Counter(call.seen for call in rated))
    seen.longest_seconds, seen.back_seconds = max(call.seconds for call in calls), back
    for what, found, allowed in (
        ("answers", seen.answers, promise.answers),
        ("feedback", seen.feedback, promise.answers | promise.feedback),
    ):
        seen.broken += [f"{count} {what} {ended}" for ended, count in found.items() if ended not in {WHOLE, *allowed}]
    late = sum(call.seconds > promise.within_seconds for call in calls)
    if late:
        seen.broken.append(f"{late} later than {promise.within_seconds:.0f} s")
    if back is None or back > promise.back_seconds:
        seen.broken.append(f"no whole answer within {promise.back_seconds:.0f} s after it")
    return seen


@contextmanager
def _endings_as_interrupts() -> Iterator[None]:
    """Let SIGTERM and SIGHUP (the terminal is closed) end the block as Ctrl-C does, so that everything is undone."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            for number, handler in before.items():
                signal.signal(number, handler)
