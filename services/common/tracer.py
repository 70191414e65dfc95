"""Sends finished traces to Opik in batches, from a separate thread.

Stored traces cost money, so a token bucket bounds the traces per second of a process; `submit` has an argument for
those that must be sent regardless. While Opik takes none, waiting traces move from memory to a bounded file. Nothing
here raises into a request or waits for Opik.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Sequence
from typing import Protocol

import httpx

from services.common.spill import SpillFile
from services.common.token_bucket import TokenBucket
from services.common.tracing import Trace

logger = logging.getLogger(__name__)

# Traces in memory. While Opik is away the file takes them over between two attempts, which are 38 s apart at most.
MAX_IN_MEMORY = 2000
# In memory and in the file; beyond it there is room only for those that must be sent. At the default budget it is
# 100 s of traffic.
MAX_WAITING_WITHIN_BUDGET = 1000
END_TIMEOUT_SECONDS = 8
# One body a second costs little more than one body a trace.
BATCH_SECONDS = 1.0
MAX_BATCH_TRACES = 50
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
# Failures of the server or a proxy, and limits: the next attempt may succeed. Any other status is permanent.
_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


class TraceWriter(Protocol):
    """The part of `services.common.opik_api.OpikApi` that the tracer uses."""

    def encode(self, trace: Trace) -> bytes:
        """A finished trace as the bytes that are kept and written."""
        ...

    def write(self, encoded: Sequence[bytes]) -> None:
        """Write encoded traces; written again, they replace themselves. Raises httpx.HTTPError."""
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
        max_in_memory: int = MAX_IN_MEMORY,
        spill: SpillFile | None = None,
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
        longest_pause_seconds: float = LONGEST_PAUSE_SECONDS,
    ) -> None:
        """Keep the parts; `start` begins to send.

        Args:
            writer: writes traces, on the sender's thread; closed at the end. None sends nothing.
            traces_per_second: budget for traces that need not be sent.
            batch_seconds: how long a trace waits for others to be sent with.
            max_in_memory: traces in memory before further ones are refused.
            spill: holds waiting traces while Opik is unavailable; None makes one of the usual size. Closed at the end.
            first_pause_seconds: after the first failed attempt; doubles with every further one.
            longest_pause_seconds: between two attempts.
        """
        self._writer = writer
        self._bucket = TokenBucket(traces_per_second)
        self._batch_seconds = batch_seconds
        self._first_pause = first_pause_seconds
        self._longest_pause = longest_pause_seconds
        self._deadline = float("inf")
        self._queue: queue.Queue[Trace | None] = queue.Queue(max_in_memory)
        self._spill = spill or SpillFile()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._ended = False
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
            trace: must have ended; a trace with `wanted` is sent even when the budget is spent.
            always: send it even when the budget is spent (errors, requests sampled for evaluation).

        Returns:
            Whether the trace will be sent.
        """
        # The budget is charged in both cases, so that traces that must be sent leave room for fewer others.
        must = always or trace.wanted
        if self._thread is None or not (self._bucket.take() or must):
            return False
        if not must and self.waiting >= MAX_WAITING_WITHIN_BUDGET:
            self.dropped += 1
            return False
        try:
            self._queue.put_nowait(trace)
        except queue.Full:
            self.dropped += 1
            return False
        return True

    @property
    def enabled(self) -> bool:
        """Whether traces are sent anywhere."""
        return self._writer is not None

    @property
    def waiting(self) -> int:
        """Approximate number of accepted traces that are not being sent yet."""
        return self._queue.qsize() + self._spill.count

    def stop(self, timeout_seconds: float = END_TIMEOUT_SECONDS) -> None:
        """Send waiting traces and close the client; blocks for about `timeout_seconds`: not for event loops.

        Failed attempts are repeated until then: Opik may be restarting as well.
        """
        if self._thread is None:
            return
        self._deadline = time.monotonic() + timeout_seconds
        self._stopping.set()
        try:
            self._queue.put(None, timeout=timeout_seconds)
        except queue.Full:
            logger.warning("traces are lost: the sender is stuck", extra={"waiting": self.waiting})
            return
        self._thread.join(max(0.1, self._deadline + 1 - time.monotonic()))
        if self._thread.is_alive():
            logger.warning("traces may be lost: Opik did not take them in time", extra={"waiting": self.waiting})
        self._thread = None

    def _run(self, writer: TraceWriter) -> None:
        while self._spill.count or not self._ended:
            if time.monotonic() >= self._deadline:
                _lost(self.waiting - (not self._ended), "the process ends")
                break
            if batch := self._next(writer):
                self._deliver(writer, batch)
        self._spill.close()
        writer.close()

    def _next(self, writer: TraceWriter) -> list[bytes]:
        """The next batch, the oldest first."""
        if self._spill.count:
            return self._spill.take(MAX_BATCH_TRACES)
        batch = self._encoded(writer, self._queue.get())
        deadline = time.monotonic() + self._batch_seconds
        while not self._ended and len(batch) < MAX_BATCH_TRACES:
            # No waiting for further traces once the process is about to end.
            pause = 0.0 if self._stopping.is_set() else deadline - time.monotonic()
            try:
                trace = self._queue.get(timeout=pause) if pause > 0 else self._queue.get_nowait()
            except queue.Empty:
                break
            batch += self._encoded(writer, trace)
        return batch

    def _encoded(self, writer: TraceWriter, trace: Trace | None) -> list[bytes]:
        if trace is None:
            self._ended = True
            return []
        try:
            return [writer.encode(trace)]
        except Exception as error:  # noqa: BLE001 - monitoring fails alone: the thread must live
            _lost(1, type(error).__name__)
            return []

    def _deliver(self, writer: TraceWriter, batch: list[bytes]) -> None:
        """Write a batch, with retries after transient failures."""
        pause = self._first_pause
        while True:
            try:
                writer.write(batch)
                return
            except Exception as error:  # noqa: BLE001 - monitoring fails alone: the thread must live
                reason = type(error).__name__
                permanent = not _is_transient(error)
            if permanent and len(batch) > 1:
                # A trace that Opik refuses must not lose the others.
                for encoded in batch:
                    self._deliver(writer, [encoded])
                return
            if permanent or (self._stopping.is_set() and time.monotonic() >= self._deadline):
                _lost(len(batch), reason)
                return
            logger.warning("Opik does not take traces now", extra={"traces": len(batch), "reason": reason})
            self._spill_waiting(writer, batch)
            self._pause(pause)
            pause = min(pause * 2, self._longest_pause)

    def _spill_waiting(self, writer: TraceWriter, batch: list[bytes]) -> None:
        """Move traces from memory to the file; one that does not fit joins the batch."""
        while not self._ended:
            try:
                encoded = self._encoded(writer, self._queue.get_nowait())
            except queue.Empty:
                return
            if encoded and not self._spill.append(encoded[0]):
                batch += encoded
                return

    def _pause(self, seconds: float) -> None:
        """Wait before the next attempt: less long once the process is about to end, and not beyond its deadline."""
        if not self._stopping.wait(seconds):
            return
        time.sleep(max(0.0, min(self._first_pause, self._deadline - time.monotonic())))


def _lost(traces: int, reason: str) -> None:
    logger.error("traces were not taken by Opik and are lost", extra={"traces": traces, "reason": reason})


def _is_transient(error: Exception) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in _TRANSIENT_STATUS
    return isinstance(error, httpx.TransportError)
