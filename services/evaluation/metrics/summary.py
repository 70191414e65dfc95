"""What a run says about all its items together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

GROUNDEDNESS = "groundedness"
ANSWER_RELEVANCE = "answer_relevance"
METRIC_NAMES = (GROUNDEDNESS, ANSWER_RELEVANCE)
WORST_ITEMS = 3


@dataclass(frozen=True)
class ItemScores:
    """The scores of one stored answer.

    Attributes:
        trace_id: trace of the answer.
        values: score by metric, 0..1; a metric that is not defined for the item is absent.
        failed: metrics that raised.
    """

    trace_id: str
    values: Mapping[str, float]
    failed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Summary:
    """Aggregates of a run.

    Attributes:
        scored: items with at least one score.
        failed: scores that could not be computed (one item may account for several).
        means: mean by metric; a metric without any score is absent, and never 0.
        p10: 10th percentile by metric: nine of ten answers score higher.
        worst: the items with the lowest single score, worst first: `{"trace_id": ..., <metric>: <score>, ...}`.
    """

    scored: int
    failed: int
    means: dict[str, float]
    p10: dict[str, float]
    worst: list[dict[str, str | float]]


def summarise(items: Sequence[ItemScores]) -> Summary:
    """Aggregate the scores of a run; no items make an empty summary."""
    by_metric = {
        name: values
        for name in METRIC_NAMES
        if (values := [item.values[name] for item in items if name in item.values])
    }
    ranked = sorted(
        (item for item in items if item.values), key=lambda item: (min(item.values.values()), item.trace_id)
    )
    return Summary(
        scored=len(ranked),
        failed=sum(len(item.failed) for item in items),
        means={name: _rounded(float(np.mean(values))) for name, values in by_metric.items()},
        p10={name: _rounded(float(np.percentile(values, 10))) for name, values in by_metric.items()},
        worst=[
            {"trace_id": item.trace_id, **{name: _rounded(value) for name, value in item.values.items()}}
            for item in ranked[:WORST_ITEMS]
        ],
    )


def _rounded(value: float) -> float:
    return round(value, 4)
