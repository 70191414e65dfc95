"""Input and result of every metric."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """One stored answer.

    Attributes:
        query: the question.
        output: the answer.
        context: the retrieved texts that the answer was given from, best first; empty without retrieval.
    """

    query: str
    output: str
    context: tuple[str, ...] = ()


@dataclass(frozen=True)
class MetricScore:
    """A score with its reason."""

    value: float
    reason: str | None = None
