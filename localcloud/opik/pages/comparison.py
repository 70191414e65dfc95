"""Comparison of experiments: means, differences to a baseline, and items ordered by their worst difference."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from localcloud.opik.pages.metrics import gain

SAME = 1e-9
"""Differences up to this size count as none."""


@dataclass(frozen=True)
class Cell:
    """One score of one experiment beside the baseline's.

    Attributes:
        value: the score, or the mean over the experiment's items; None when there is none.
        difference: difference to the baseline, over the items that both have.
        gain: the difference, positive when better.
        shared: number of items with a score in both.
    """

    value: float | None
    difference: float | None = None
    gain: float | None = None
    shared: int = 0

    @property
    def verdict(self) -> str:
        """ "better", "worse" or "same"; empty without a difference."""
        if self.gain is None:
            return ""
        if abs(self.gain) <= SAME:
            return "same"
        return "better" if self.gain > 0 else "worse"


@dataclass
class Item:
    """One dataset item.

    Attributes:
        id: id of the dataset item.
        traces: trace id by experiment.
        scores: score by metric and experiment.
    """

    id: str
    traces: dict[str, str] = field(default_factory=dict)
    scores: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))

    def cells(self, metric: str, experiments: Sequence[str]) -> list[Cell]:
        """Cells of one metric in the order of the experiments, of which the first is the baseline."""
        values = self.scores.get(metric, {})
        base = values.get(experiments[0])
        return [Cell(base), *(_compare(metric, values.get(one), base) for one in experiments[1:])]

    def worst(self, metrics: Iterable[str], experiments: Sequence[str]) -> float | None:
        """Lowest gain over these metrics and experiments; None when nothing can be compared."""
        gains = [cell.gain for metric in metrics for cell in self.cells(metric, experiments) if cell.gain is not None]
        return min(gains, default=None)


def read(rows: Iterable[tuple[str, str, str, str | None, float | None]]) -> list[Item]:
    """Items from rows of experiment, item, trace, score's name and value; several trials of one item are averaged."""
    items: dict[str, Item] = {}
    values: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for experiment, item, trace, name, value in rows:
        items.setdefault(item, Item(item)).traces.setdefault(experiment, trace)
        if name is not None and isinstance(value, int | float):
            values[item, name, experiment].append(value)
    for (item, name, experiment), found in values.items():
        items[item].scores[name][experiment] = fmean(found)
    return list(items.values())


def metrics_of(items: Sequence[Item]) -> list[str]:
    """Names of all scores, sorted."""
    return sorted({name for item in items for name in item.scores})


def summary(items: Sequence[Item], metric: str, experiments: Sequence[str]) -> list[Cell]:
    """Cells with the means of one metric; differences are means over the items with a score in both experiments."""
    cells = []
    for number, experiment in enumerate(experiments):
        values = [item.scores[metric][experiment] for item in items if experiment in item.scores.get(metric, {})]
        mean = fmean(values) if values else None
        differences = [cell.difference for item in items for cell in item.cells(metric, experiments)[number:][:1]]
        shared = [one for one in differences if one is not None]
        if not number or not shared:
            cells.append(Cell(mean, shared=len(values)))
        else:
            found = fmean(shared)
            cells.append(Cell(mean, found, gain(metric, found), len(shared)))
    return cells


def worst_first(items: Sequence[Item], metrics: Sequence[str], experiments: Sequence[str]) -> list[Item]:
    """Items ordered by their worst difference; items that cannot be compared come last."""
    ranked = [(item.worst(metrics, experiments), item) for item in items]
    return [item for _, item in sorted(ranked, key=lambda one: (one[0] is None, one[0] or 0.0, one[1].id))]


def lowest_first(items: Sequence[Item], metrics: Sequence[str], experiment: str) -> list[Item]:
    """Items ordered by their worst score in one experiment; items without a score come last."""

    def worst_score(item: Item) -> float | None:
        """Lowest score of the item, negated where low is good; None without a score."""
        found = [
            gain(name, item.scores[name][experiment]) for name in metrics if experiment in item.scores.get(name, {})
        ]
        return min(found, default=None)

    ranked = [(worst_score(item), item) for item in items]
    return [item for _, item in sorted(ranked, key=lambda one: (one[0] is None, one[0] or 0.0, one[1].id))]


def _compare(metric: str, value: float | None, base: float | None) -> Cell:
    if value is None or base is None:
        return Cell(value)
    return Cell(value, value - base, gain(metric, value - base), 1)
