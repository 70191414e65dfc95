"""Callers' feedback on answers: scores in Opik, and samples of answers that they dislike."""

from __future__ import annotations

import asyncio
import http
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx

from services.common.logging import concern_logger
from services.common.opik_api import OpikApi
from services.rag.errors import MonitoringUnavailable, UnknownTrace
from services.rag.sampling.samples import SampleSink
from services.rag.sampling.trace_sample import NotAnAnswer, is_sampled, sample_of

logger = concern_logger("evaluation")
security_logger = concern_logger("security")

SCORE_NAME = "user_feedback"
# A caller waits for two calls at most, and an Opik that hangs must not block more than two threads.
THREADS = 2
THUMBS_DOWN = 0.5
"""Score below which an answer is evaluated even when it was not sampled."""
FLAG_ATTEMPTS = 6
FLAG_PAUSE_SECONDS = 2.0
MAX_FLAGS = 100


class Feedback:
    """Sets feedback scores of traces, on its own threads; answers that callers dislike are offered as samples."""

    def __init__(self, opik: OpikApi | None, samples: SampleSink) -> None:
        self._opik = opik
        self._samples = samples
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="feedback")
        self._flags = ThreadPoolExecutor(1, thread_name_prefix="flags")
        self._room = threading.BoundedSemaphore(MAX_FLAGS)
        self._closing = threading.Event()

    async def submit(self, trace_id: str, score: float, reason: str | None, key_name: str) -> None:
        """Set the score `user_feedback` of a trace; a second one replaces the first.

        Args:
            trace_id: of the answer.
            score: 0 (useless) to 1 (right).
            reason: free text of the caller.
            key_name: name of the caller's key.

        Raises:
            UnknownTrace: there is no such trace, or it belongs to another key.
            MonitoringUnavailable: tracing is off, or Opik does not answer.
        """
        if self._opik is None:
            raise MonitoringUnavailable("This service records no traces, so there is nothing to give feedback to.")
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._pool, _send, self._opik, trace_id, score, reason, key_name)
        if score < THUMBS_DOWN:
            self._flag_later(self._opik, trace_id)

    def close(self) -> None:
        """End the threads."""
        self._closing.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._flags.shutdown(wait=False, cancel_futures=True)

    def _flag_later(self, opik: OpikApi, trace_id: str) -> None:
        if not self._room.acquire(blocking=False):
            logger.error("a disliked answer is not sampled: too many are waiting", extra={"trace_id": trace_id})
            return
        try:
            self._flags.submit(self._flag, opik, trace_id).add_done_callback(lambda _: self._room.release())
        except RuntimeError:
            self._room.release()
            logger.error("a disliked answer is not sampled: the service stops", extra={"trace_id": trace_id})

    def _flag(self, opik: OpikApi, trace_id: str) -> None:
        """Offer the answer as a sample unless it was sampled already; its trace may still be on its way to Opik."""
        reason = "its trace has not arrived"
        for attempt in range(FLAG_ATTEMPTS):
            if attempt and self._closing.wait(FLAG_PAUSE_SECONDS):
                break
            try:
                trace = opik.read_trace(trace_id)
                if trace is None:
                    continue
                if not is_sampled(trace) and not self._samples.offer(sample_of(trace, "thumbs-down")):
                    reason = "the samples queue is full"
                    break
                return
            except (httpx.HTTPError, NotAnAnswer) as error:
                reason = type(error).__name__
        logger.error("a disliked answer is not sampled", extra={"trace_id": trace_id, "reason": reason})


def _send(opik: OpikApi, trace_id: str, score: float, reason: str | None, key_name: str) -> None:
    try:
        if (owner := opik.owners.of(trace_id)) != key_name:
            if owner is not None:
                security_logger.warning(
                    "feedback on the trace of another key", extra={"refused_trace_id": trace_id, "key_name": key_name}
                )
            raise UnknownTrace(f"There is no recorded answer with the trace id {trace_id}.")
        opik.score_trace(trace_id, SCORE_NAME, score, reason)
    except httpx.HTTPStatusError as error:
        if error.response.status_code == http.HTTPStatus.NOT_FOUND:
            raise UnknownTrace(f"There is no recorded answer with the trace id {trace_id}.") from None
        raise _unavailable(f"status {error.response.status_code}") from None
    except httpx.HTTPError as error:
        raise _unavailable(type(error).__name__) from None


def _unavailable(reason: str) -> MonitoringUnavailable:
    logger.warning("feedback could not be handed over", extra={"reason": reason})
    return MonitoringUnavailable("Monitoring does not answer now; the feedback was not taken.")
