"""Asks a stage's service a dataset's questions, several at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from twin.target.api_client import ApiClient, RefusedError
from twin.target.errors import TwinError
from twin.target.opik_client import OpikReader
from twin.target.progress import Progress

TRIES = 5
FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0
RECORDED_SECONDS = 90.0
PROGRESS_EVERY = 10
_RETRYABLE = frozenset({429, 502, 503, 504})


@dataclass(frozen=True)
class Asked:
    """Outcome of one question: the id of the answer's trace, or why there is no answer."""

    trace_id: str = ""
    problem: str = ""


def ask_all(api: ApiClient, questions: Mapping[str, str], concurrency: int, progress: Progress) -> dict[str, Asked]:
    """Ask every question (by item id), each with its trace recorded; retryable refusals are tried again.

    Raises:
        TwinError: none of the first questions was answered.
    """
    done: list[Asked] = []
    counting = threading.Lock()

    def one(query: str) -> Asked:
        with counting:
            if len(done) >= concurrency and all(each.problem for each in done):
                raise TwinError(f"None of the first {len(done)} questions was answered. {done[0].problem}")
        asked = _ask(api, query)
        with counting:
            done.append(asked)
            if len(done) % PROGRESS_EVERY == 0 or len(done) == len(questions):
                progress(f"asked {len(done)} of {len(questions)} questions")
        return asked

    with ThreadPoolExecutor(concurrency, thread_name_prefix="ask") as pool:
        return dict(zip(questions, pool.map(one, questions.values()), strict=True))


def read_traces(reader: OpikReader, trace_ids: list[str], concurrency: int) -> dict[str, dict[str, Any]]:
    """The finished traces, which the service sends a moment after its answers.

    Raises:
        TwinError: one has not arrived, or Opik cannot be read.
    """
    deadline = time.monotonic() + RECORDED_SECONDS

    def one(trace_id: str) -> dict[str, Any]:
        while True:
            trace = reader.read(trace_id)
            if trace is not None and trace.get("end_time"):
                return trace
            if time.monotonic() > deadline:
                raise TwinError(
                    f"Trace {trace_id} has not arrived in Opik after {RECORDED_SECONDS:.0f} s: nothing can be judged."
                )
            time.sleep(0.5)

    with ThreadPoolExecutor(concurrency, thread_name_prefix="trace") as pool:
        return dict(zip(trace_ids, pool.map(one, trace_ids), strict=True))


def _ask(api: ApiClient, query: str, pause: float = FIRST_PAUSE_SECONDS, tries: int = TRIES) -> Asked:
    try:
        for event in api.ask(query, sample=False):
            if event.name == "done":
                return Asked(trace_id=str(event.data["trace_id"]))
        return Asked(problem="The stream ended before the service said that it was done.")
    except RefusedError as refused:
        if tries == 1 or refused.status not in _RETRYABLE:
            return Asked(problem=str(refused))
        time.sleep(min(refused.retry_after or pause, LONGEST_PAUSE_SECONDS))
    except TwinError as error:
        return Asked(problem=str(error))
    return _ask(api, query, pause * 2, tries - 1)
