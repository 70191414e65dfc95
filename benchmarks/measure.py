"""Statistics of samples, and the report of a benchmark."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share (0 to 1) of the values does not exceed (nearest rank).

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
        """Percentiles of samples.

        Raises:
            ValueError: there are no samples.
        """
        return cls(*(percentile(values, share) for share in (0.5, 0.95, 0.99)))

    @classmethod
    def median_of(cls, spreads: Sequence[Spread]) -> Spread:
        """Median of each percentile over repeated runs, so that one disturbed run does not decide."""
        return cls(*(median(getattr(spread, name) for spread in spreads) for name in ("p50", "p95", "p99")))

    def minus(self, other: Spread) -> Spread:
        """Difference of each percentile."""
        return Spread(self.p50 - other.p50, self.p95 - other.p95, self.p99 - other.p99)


@dataclass(frozen=True)
class Goal:
    """A measured figure and its goal.

    Attributes:
        name: measured quantity.
        reached: measured figure.
        wanted: goal.
        direction: whether the figure must be at most or at least the goal.
        unit: "ms", "x", ...
    """

    name: str
    reached: float
    wanted: float
    direction: Literal["at most", "at least"] = "at most"
    unit: str = "x"

    @property
    def met(self) -> bool:
        """Whether the figure reaches the goal."""
        return self.reached <= self.wanted if self.direction == "at most" else self.reached >= self.wanted

    def as_row(self) -> tuple[str, str, str, str]:
        """Row of the table of goals: name, figure, goal, `reached` or `missed`."""
        return (
            self.name,
            f"{self.reached:.2f} {self.unit}",
            f"{self.direction} {self.wanted:g} {self.unit}",
            "reached" if self.met else "missed",
        )


@dataclass(frozen=True)
class Chart:
    """A plot.

    Attributes:
        kind: bars or lines, one per series and label.
        x: labels that all series share.
        series: values by name, one per label.
        log: whether the y axis is logarithmic.
    """

    title: str
    kind: Literal["bars", "lines"]
    x_label: str
    y_label: str
    x: Sequence[str | float]
    series: dict[str, Sequence[float]]
    log: bool = False


@dataclass
class Report:
    """Result of one benchmark.

    Attributes:
        name: name on the command line.
        title: title of table and figure.
        columns: column headings.
        rows: rows of the table, as text.
        goals: figures with goals.
        charts: plots.
        notes: conditions that a reader needs to judge the figures.
        data: all figures behind the table, for JSON.
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
    """Milliseconds with two decimal places, for a table."""
    return f"{value:.2f}"


def load_average() -> float:
    """Load average of the last minute; one well above what a benchmark needs means that figures are disturbed."""
    return os.getloadavg()[0]
