"""Hands the callers' judgement of an answer to Opik."""

from __future__ import annotations

import asyncio
import http
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import httpx

from services.common.logging import concern_logger

logger = concern_logger("evaluation")

SCORE_NAME = "user_feedback"
THREADS = 2
# Two calls; people who press a button wait that long, and a monitoring that hangs may not keep more than two threads.
CALL_TIMEOUT_SECONDS = 4


class UnknownTrace(Exception):  # noqa: N818 - the name says what happened
    """No trace has this id; the message may be shown to a caller."""


class MonitoringUnavailable(Exception):  # noqa: N818
    """Feedback cannot be taken now; the message may be shown to a caller."""


class TraceBook(Protocol):
    """The part of `services.common.tracing.Tracer` that feedback needs."""

    @property
    def enabled(self) -> bool:
        """Whether traces are sent anywhere."""
        ...

    def opik(self, timeout_seconds: float) -> Any:
        """The Opik client, or None when there is none after that time; blocks."""
        ...

    def sent_recently(self, trace_id: str) -> bool:
        """Whether a trace may still be on its way."""
        ...


class Feedback:
    """Sets feedback scores of traces, on threads of its own."""

    def __init__(self, traces: TraceBook, project_name: str) -> None:
        self._traces = traces
        self._project = project_name
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="feedback")

    async def give(self, trace_id: str, score: float, reason: str | None) -> None:
        """Set the score `user_feedback` of a trace; a second one replaces the first.

        Args:
            trace_id: of the answer.
            score: 0 (useless) to 1 (right).
            reason: why, in the caller's words.

        Raises:
            UnknownTrace: Opik holds no such trace and this process has not just sent it.
            MonitoringUnavailable: tracing is off, or Opik does not answer.
        """
        if not self._traces.enabled:
            raise MonitoringUnavailable("This service records no traces, so there is nothing to give feedback to.")
        recent = self._traces.sent_recently(trace_id)
        await asyncio.get_running_loop().run_in_executor(self._pool, self._send, trace_id, score, reason, recent)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _send(self, trace_id: str, score: float, reason: str | None, recent: bool) -> None:
        client = self._traces.opik(CALL_TIMEOUT_SECONDS)
        if client is None:
            raise MonitoringUnavailable("Monitoring is not connected yet.")
        from opik.rest_api.core.api_error import ApiError
        from opik.rest_api.types.feedback_score_batch_item import FeedbackScoreBatchItem

        # The plain methods are wrapped by the SDK in retries that sleep for eleven seconds, whatever the options say.
        calls = client.rest_client.traces.with_raw_response
        options = {"timeout_in_seconds": CALL_TIMEOUT_SECONDS, "max_retries": 0}
        item = FeedbackScoreBatchItem(
            id=trace_id, project_name=self._project, name=SCORE_NAME, value=score, reason=reason, source="sdk"
        )
        try:
            if not recent:
                calls.get_trace_by_id(trace_id, request_options=options)
            calls.score_batch_of_traces(scores=[item], request_options=options)
        except ApiError as error:
            if error.status_code == http.HTTPStatus.NOT_FOUND:
                raise UnknownTrace(f"There is no recorded answer with the trace id {trace_id}.") from None
            raise _unavailable(f"status {error.status_code}") from None
        except httpx.HTTPError as error:
            raise _unavailable(type(error).__name__) from None


def _unavailable(reason: str) -> MonitoringUnavailable:
    logger.warning("feedback could not be handed over", extra={"reason": reason})
    return MonitoringUnavailable("Monitoring does not answer now; the feedback was not taken.")
