"""Aggregates of a run over all its items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from services.evaluation.metrics.names import METRICS

METRIC_NAMES = tuple(METRICS)
WORST_ITEMS = 3


@dataclass(frozen=True)
class ItemScores:
    """The scores of one stored answer.

    Attributes:
        trace_id: trace of the answer.
        values: score by metric, 0..1; a metric that is not defined for the item is absent.
        failed: metrics that raised.
        reasons: by metric: the judge's reason, or the error.
    """

    trace_id: str
    values: Mapping[str, float]
    failed: tuple[str, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Summary:
    """Aggregates of a run.

    Attributes:
        scored: items with at least one score of quality.
        failed: scores that could not be computed (one item may account for several).
        means: mean by metric; a metric without any score is absent, and never 0.
        p10: 10th percentile by metric: nine of ten answers score higher.
        worst: the items with the worst single score of quality, worst first, with all their scores:
            `{"trace_id": ..., <metric>: <score>, ...}`.
        p90: 90th percentile by metric where a high score is bad: nine of ten answers score lower.
        counts: number of scores by metric.
        failed_by: number of scores that could not be computed, by metric; metrics without any are absent.
    """

    scored: int
    failed: int
    means: dict[str, float]
    p10: dict[str, float]
    worst: list[dict[str, str | float]]
    p90: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    failed_by: dict[str, int] = field(default_factory=dict)


def summarise(items: Sequence[ItemScores]) -> Summary:
    """Aggregate the scores of a run; no items make an empty summary."""
    by_metric = {
        name: values
        for name in METRIC_NAMES
        if (values := [item.values[name] for item in items if name in item.values])
    }
    judged = [(badness, item) for item in items if (badness := _badness(item)) is not None]
    ranked = sorted(judged, key=lambda pair: (-pair[0], pair[1].trace_id))
    return Summary(
        scored=len(ranked),
        failed=sum(len(item.failed) for item in items),
        means={name: _rounded(float(np.mean(values))) for name, values in by_metric.items()},
        p10={name: _rounded(float(np.percentile(values, 10))) for name, values in by_metric.items()},
        worst=[
            {"trace_id": item.trace_id, **{name: _rounded(value) for name, value in item.values.items()}}
            for _, item in ranked[:WORST_ITEMS]
        ],
        p90={
            name: _rounded(float(np.percentile(values, 90)))
            for name, values in by_metric.items()
            if not METRICS[name].higher_is_better
        },
        counts={name: len(values) for name, values in by_metric.items()},
        failed_by={name: count for name in METRIC_NAMES if (count := sum(name in item.failed for item in items)) > 0},
    )


def _badness(item: ItemScores) -> float | None:
    """The item's worst score of quality, None without any."""
    scores = [
        METRICS[name].badness(value) for name, value in item.values.items() if name in METRICS and METRICS[name].ranks
    ]
    return max(scores, default=None)


def _rounded(value: float) -> float:
    return round(value, 4)
