"""Numbers of repetitions: for figures that are quoted, or for a first look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.fault_proxy import FAULTS, Fault


@dataclass(frozen=True)
class Effort:
    """Numbers of repetitions of one run.

    Attributes:
        rounds: every system is measured once per round, one after the other; medians over rounds are quoted.
        answers: measured answers per system and round, by number of users.
        slow_answers: measured answers of the Handbook-shaped baseline, which gives about one a second.
        questions: how often each retrieval question is asked.
        saturating_answers: answers per round of a load that fills the server's core.
        memory_requests: requests during which the service's memory is measured.
        outage_seconds: how long Opik is unavailable.
        outage_faults: faults that Opik shows, one after the other.
        progress: called with a line about each step.
    """

    rounds: int
    answers: dict[int, int]
    slow_answers: int
    questions: int
    saturating_answers: int
    memory_requests: int
    outage_seconds: float
    outage_faults: tuple[Fault, ...]
    progress: Callable[[str], None]


def thorough(progress: Callable[[str], None]) -> Effort:
    """Repetitions for figures that are quoted; about half an hour for all benchmarks."""
    return Effort(5, {1: 20, 16: 240, 64: 640}, 64, 5, 4_000, 50_000, 600, FAULTS, progress)


def quick(progress: Callable[[str], None]) -> Effort:
    """Fewer repetitions of the same measurements; about ten minutes for all benchmarks."""
    return Effort(2, {1: 6, 16: 48, 64: 192}, 16, 1, 800, 4_000, 20, FAULTS, progress)
