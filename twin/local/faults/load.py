"""Callers that ask without pause while a fault comes and goes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from twin.local.faults.calls import FEEDBACK, KINDS, WHOLE, Call, ask, rate
from twin.local.faults.door import Door
from twin.target.errors import TwinError
from twin.target.paths import RETRIEVAL_QUESTIONS

SAMPLED_EVERY = 5
"""One answer in so many may be sampled: judging them is work on the same machine."""
RATED_EVERY = 4
PAUSE_SECONDS = 0.05
PAUSE_AFTER_ERROR_SECONDS = 0.25
POLL_SECONDS = 0.1
ANSWER_SECONDS = 10.0
"""Time for the answer of a stage on which no fault is drilled."""


@dataclass
class Load:
    """Calls of all callers so far; safe to read while they ask."""

    calls: list[Call] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def first_whole(self, asked_after: float) -> Call | None:
        """The first whole answer to a question that was asked after a time, None while there is none."""
        found = [c for c in list(self.calls) if c.seen == WHOLE and c.kind != FEEDBACK and c.began > asked_after]
        return min(found, key=lambda call: call.ended, default=None)

    def wait_for_whole(self, asked_after: float, seconds: float) -> Call | None:
        """The same, waited for."""
        deadline = time.monotonic() + seconds
        while (found := self.first_whole(asked_after)) is None and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        return found


@contextmanager
def load(door: Door, callers: int, limit: float) -> Iterator[Load]:
    """Let so many callers ask for the length of the block; their last calls end before it is left.

    Args:
        limit: seconds after which a caller gives a call up.
    """
    questions = [json.loads(line)["query"] for line in RETRIEVAL_QUESTIONS.read_text().splitlines()]
    found = Load()
    threads = [
        threading.Thread(target=_ask_on, args=(found, door, number, questions, limit), name=f"caller-{number}")
        for number in range(callers)
    ]
    try:
        for thread in threads:
            thread.start()
        yield found
    finally:
        found._stopping.set()
        for thread in threads:
            thread.join()


def _ask_on(found: Load, door: Door, number: int, questions: Sequence[str], limit: float) -> None:
    kind, asked = KINDS[number % len(KINDS)], number
    with door.client(limit) as client:
        while not found._stopping.is_set():
            question = questions[asked % len(questions)]
            call = ask(client, kind, question, limit, sample=asked % SAMPLED_EVERY == 0)
            found.calls.append(call)
            if call.seen == WHOLE and asked % RATED_EVERY == 0:
                found.calls.append(rate(client, call.trace_id))
            asked += 1
            found._stopping.wait(PAUSE_SECONDS if call.seen == WHOLE else PAUSE_AFTER_ERROR_SECONDS)


def wait_until_answered(door: Door, seconds: float) -> None:
    """Ask until an answer is whole.

    Raises:
        TwinError: none was in time.
    """
    deadline = time.monotonic() + seconds
    with door.client(ANSWER_SECONDS) as client:
        while (call := ask(client, "rag", "What is the drill?", ANSWER_SECONDS, sample=False)).seen != WHOLE:
            if time.monotonic() > deadline:
                raise TwinError(f"The stage answers no question ({call.seen}): see `twin doctor`, then drill again.")
            time.sleep(POLL_SECONDS)
