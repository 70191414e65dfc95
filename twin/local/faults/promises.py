"""What callers are promised while a dependency fails: one `Promise` per dependency and kind of fault.

docs/architecture.md carries the same table; a test compares both. The drill measures what is seen beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from twin.target.errors import TwinError

Fault = Literal["kill", "hang", "slow", "disk full"]
PARTS = {
    "rag": "RAG service",
    "llm": "LLM",
    "qdrant": "Qdrant",
    "opik": "Opik",
    "aws": "AWS (SQS, secrets)",
    "runtime": "SageMaker runtime",
}
"""Name of each dependency for people, by the one that `--only` takes."""
BROKEN_OFF = "cut"
"""The connection ended before the answer did: its task is gone."""
BALANCER = frozenset({"HTTP 502", "HTTP 503", "HTTP 504"})
"""What a load balancer answers by itself; the service's own errors have a code."""

_LLM = frozenset({"llm_stream_broken", "llm_failed", "llm_unavailable", "llm_no_capacity"})
_RUNTIME = frozenset({"llm_unavailable", "llm_timeout", "llm_stream_broken"})
_STORE = frozenset({"retrieval_unavailable"})
_MONITORING = frozenset({"monitoring_unavailable"})


@dataclass(frozen=True)
class Promise:
    """What holds while one dependency fails in one way.

    Attributes:
        part: key of `PARTS`.
        fault: kind of fault.
        answers: what a question may end with instead of a whole answer: error codes (as HTTP status or `error` event),
            `BROKEN_OFF`, or what the load balancer says (`BALANCER`).
        feedback: the same for `POST /feedback`, instead of 204.
        within_seconds: longest time until an answer or its error has ended.
        back_seconds: longest time from the end of the fault to the end of the first whole answer asked after it.
        lost_seconds: traces and samples of answers that ended so long before the fault may be lost; 0: none may.
    """

    part: str
    fault: Fault
    answers: frozenset[str] = frozenset()
    feedback: frozenset[str] = frozenset()
    within_seconds: float = 30.0
    back_seconds: float = 30.0
    lost_seconds: float = 0.0

    @property
    def name(self) -> str:
        """For tables, such as `Qdrant: disk full`."""
        return f"{PARTS[self.part]}: {self.fault}"

    @property
    def sentence(self) -> str:
        """For tables and the documentation."""
        balancer = "502, 503 or 504 of the load balancer" if self.answers & BALANCER else ""
        codes = [f"`{code}`" for code in sorted(self.answers - BALANCER - {BROKEN_OFF})]
        cut = "a broken connection" if BROKEN_OFF in self.answers else ""
        seen = ", ".join(filter(None, (balancer, cut, *codes))) or "no error"
        lost = f"traces and samples of the last {self.lost_seconds:.0f} s" if self.lost_seconds else "nothing"
        feedback = ", ".join(f"`{code}`" for code in sorted(self.feedback - self.answers))
        return (
            f"{seen}{f'; feedback {feedback}' if feedback else ''}; each within {self.within_seconds:.0f} s; "
            f"whole answers {self.back_seconds:.0f} s after it; lost: {lost}"
        )


PROMISES = (
    Promise("rag", "kill", BALANCER | {BROKEN_OFF}, BALANCER | {BROKEN_OFF, "trace_not_found"}, lost_seconds=5),
    Promise("rag", "hang"),
    Promise("rag", "slow"),
    Promise("rag", "disk full"),
    Promise("llm", "kill", _LLM),
    Promise("llm", "hang", _LLM),
    Promise("llm", "slow", _LLM),
    Promise("llm", "disk full"),
    Promise("qdrant", "kill", _STORE),
    Promise("qdrant", "hang", _STORE),
    Promise("qdrant", "slow", _STORE),
    Promise("qdrant", "disk full", _STORE),
    Promise("opik", "kill", feedback=_MONITORING),
    Promise("opik", "hang", feedback=_MONITORING),
    Promise("opik", "slow", feedback=_MONITORING),
    Promise("opik", "disk full", feedback=_MONITORING),
    Promise("aws", "hang"),
    Promise("aws", "slow"),
    Promise("aws", "disk full"),
    Promise("runtime", "hang", _RUNTIME),
    Promise("runtime", "slow", _RUNTIME),
)
NOT_DRILLED = {
    "AWS (SQS, secrets): kill": "the emulator holds what was deployed in memory, so that its end is the stage's end",
    "SageMaker runtime: kill, disk full": "it is served by the supervisor, whose end is the local cloud's end",
}
"""Faults that are left out, with the reason."""


def table() -> str:
    """The promises as the table of docs/architecture.md."""
    rows = [f"| {promise.name} | {promise.sentence} |" for promise in PROMISES]
    left_out = [f"| {name} | not drilled: {why} |" for name, why in NOT_DRILLED.items()]
    return "\n".join(("| fault | promise |", "|---|---|", *rows, *left_out))


def chosen(only: str) -> tuple[Promise, ...]:
    """The promises of `PART` or `PART:FAULT`; all of them for an empty text.

    Raises:
        TwinError: there is no such drill.
    """
    part, _, fault = only.partition(":")
    found = tuple(each for each in PROMISES if part in ("", each.part) and fault in ("", each.fault))
    if not found:
        names = ", ".join(f'"{each.part}:{each.fault}"' for each in PROMISES)
        raise TwinError(f"There is no drill {only!r}. Choose a part ({', '.join(PARTS)}) or one of {names}.")
    return found
