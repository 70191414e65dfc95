"""How long a run may take: the figures that a reader quotes, or a look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.gate import FAULTS, Fault


@dataclass(frozen=True)
class Effort:
    """Numbers of repetitions.

    Attributes:
        rounds: every system is measured once per round, one after the other; medians over rounds are quoted.
        answers: users -> measured answers per system and round.
        slow_answers: measured answers of the Handbook-shaped baseline, which gives about one a second.
        questions: how often each retrieval question is asked.
        saturating_answers: answers per round of a load that fills the server's core.
        memory_requests: requests over which the service's memory is watched.
        outage_seconds: how long Opik is away.
        outage_faults: the ways of being away, one after the other.
        say: told what is going on.
    """

    rounds: int
    answers: dict[int, int]
    slow_answers: int
    questions: int
    saturating_answers: int
    memory_requests: int
    outage_seconds: float
    outage_faults: tuple[Fault, ...]
    say: Callable[[str], None]


def thorough(say: Callable[[str], None]) -> Effort:
    """For figures that are quoted."""
    return Effort(5, {1: 20, 16: 240, 64: 640}, 64, 5, 4_000, 50_000, 600, FAULTS, say)


def quick(say: Callable[[str], None]) -> Effort:
    """For a look: the same measurements, fewer of each."""
    return Effort(2, {1: 6, 16: 48, 64: 192}, 16, 1, 800, 4_000, 20, FAULTS, say)
