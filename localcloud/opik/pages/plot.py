"""Coordinates of a line plot over time, which the template draws as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

# Units of the view box. Small, so that text of 12 units stays readable where a phone shrinks the plot.
WIDTH, HEIGHT = 340.0, 190.0
LEFT, RIGHT, TOP, BOTTOM = 34.0, 12.0, 10.0, 24.0
X_TICKS = 4
DAY = 86_400.0


@dataclass(frozen=True)
class Point:
    """One point of a plot.

    Attributes:
        at: time in seconds since 1970.
        value: mean score.
        label: text of its tooltip and for screen readers.
        link: address of the page that it leads to.
    """

    at: float
    value: float
    label: str
    link: str


@dataclass(frozen=True)
class Curve:
    """One series as it is drawn.

    Attributes:
        name: name in the legend.
        path: SVG path through its points in order of time.
        marks: x, y and point, in units of the view box.
    """

    name: str
    path: str
    marks: tuple[tuple[float, float, Point], ...]


@dataclass(frozen=True)
class Plot:
    """A plot as it is drawn, in units of the view box; ticks are (place, text)."""

    curves: tuple[Curve, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    bottom: float = HEIGHT - BOTTOM


def draw(series: Mapping[str, Sequence[Point]], span: tuple[float, float], *, daily: bool) -> Plot:
    """The plot of some series.

    Args:
        series: points by name.
        span: first and last time of the axis, in seconds since 1970; the same for plots that are compared.
        daily: whether there is one point per day, so that ticks are days.

    Raises:
        ValueError: no series has a point.
    """
    points = [point for one in series.values() for point in one]
    if not points:
        raise ValueError("a plot needs a point")
    margin = max((span[1] - span[0]) * 0.03, DAY / 2 if daily and span[0] == span[1] else 1800.0)
    low_x, high_x = span[0] - margin, span[1] + margin
    y_values = _y_ticks(min(p.value for p in points), max(p.value for p in points))
    low_y, high_y = y_values[0], y_values[-1]

    def x(at: float) -> float:
        """Horizontal place of a time."""
        return round(LEFT + (at - low_x) / (high_x - low_x) * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        """Vertical place of a value; smaller is higher."""
        return round(HEIGHT - BOTTOM - (value - low_y) / (high_y - low_y) * (HEIGHT - TOP - BOTTOM), 1)

    curves = []
    for name, one in series.items():
        ordered = sorted(one, key=lambda point: point.at)
        marks = tuple((x(point.at), y(point.value), point) for point in ordered)
        path = " ".join(f"{'L' if number else 'M'}{a} {b}" for number, (a, b, _) in enumerate(marks))
        curves.append(Curve(name, path, marks))
    times = _days(*span) if daily else [low_x + (high_x - low_x) * (n + 0.5) / X_TICKS for n in range(X_TICKS)]
    form = "%m-%d" if daily or high_x - low_x >= X_TICKS * DAY else "%H:%M" if high_x - low_x < DAY else "%d. %H:%M"
    return Plot(
        tuple(curves),
        tuple((x(at), datetime.fromtimestamp(at, UTC).strftime(form)) for at in times),
        tuple((y(value), f"{value:g}") for value in y_values),
    )


def _days(first: float, last: float) -> list[float]:
    """At most `X_TICKS` days from the first to the last point, at equal distances."""
    count = round((last - first) / DAY) + 1
    return [first + number * DAY for number in range(0, count, -(-count // X_TICKS))]


def _y_ticks(low: float, high: float) -> list[float]:
    """Round values around the range; scores within 0 to 1 get the whole of it, so that plots can be compared."""
    if low >= 0 and high <= 1:
        return [0.0, 0.25, 0.5, 0.75, 1.0]
    span = (high - low) or abs(high) or 1.0
    rough = span / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(number * step, 12) for number in range(first, max(last, first + 1) + 1)]
