"""Numbers out of samples, and what a benchmark hands over."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed (nearest rank).

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, -int(-len(ordered) * share // 1) - 1))]


@dataclass(frozen=True)
class Spread:
    """Median and tail of one measured quantity."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of samples, at least one."""
        return cls(*(percentile(values, share) for share in (0.5, 0.95, 0.99)))

    @classmethod
    def median_of(cls, spreads: Sequence[Spread]) -> Spread:
        """Each percentile's median over repeated runs: one disturbed run does not decide."""
        return cls(*(median(getattr(spread, name) for spread in spreads) for name in ("p50", "p95", "p99")))

    def minus(self, other: Spread) -> Spread:
        """Percentile by percentile."""
        return Spread(self.p50 - other.p50, self.p95 - other.p95, self.p99 - other.p99)


@dataclass(frozen=True)
class Goal:
    """A figure with what it should be.

    Attributes:
        name: what was measured.
        reached: the figure.
        wanted: the goal.
        direction: whether the figure should be at most or at least the goal.
        unit: "ms", "x", ...
    """

    name: str
    reached: float
    wanted: float
    direction: Literal["at most", "at least"] = "at most"
    unit: str = "x"

    @property
    def met(self) -> bool:
        """Whether the figure is as good as wanted."""
        return self.reached <= self.wanted if self.direction == "at most" else self.reached >= self.wanted

    def as_row(self) -> tuple[str, str, str, str]:
        """For the table of goals."""
        return (
            self.name,
            f"{self.reached:.2f} {self.unit}",
            f"{self.direction} {self.wanted:g} {self.unit}",
            "reached" if self.met else "missed",
        )


@dataclass(frozen=True)
class Chart:
    """A plot: one line or group of bars per series over common labels."""

    title: str
    kind: Literal["bars", "lines"]
    x_label: str
    y_label: str
    x: Sequence[str | float]
    series: dict[str, Sequence[float]]
    log: bool = False


@dataclass
class Report:
    """What one benchmark found.

    Attributes:
        name: the benchmark's name on the command line.
        title: what it answers.
        columns: heads of the table.
        rows: the table.
        goals: figures with goals.
        charts: plots.
        notes: what a reader must know to judge the figures.
        data: everything behind the table, for JSON.
    """

    name: str
    title: str
    columns: tuple[str, ...] = ()
    rows: list[tuple[str, ...]] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)


def ms(value: float) -> str:
    """Milliseconds for a table."""
    return f"{value:.2f}"


def load_average() -> float:
    """Processes that wanted a core during the last minute; well above what a benchmark needs means a noisy machine."""
    return os.getloadavg()[0]
