"""The report of an offline evaluation: its comparison with a baseline, and whether it passes the gate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from services.common.bootstrap import CONFIDENCE, RESAMPLES, SEED
from services.evaluation.metrics.names import METRICS
from twin.evaluate.comparison import DIGITS, Comparison, compare
from twin.target.errors import TwinError

SHOWN_WORST = 5
LOWER_IS_BETTER = frozenset(name for name, metric in METRICS.items() if not metric.higher_is_better)

Results = Mapping[str, tuple[str, Mapping[str, float]]]
"""Trace id and scores by the id of the dataset's item."""


def comparison_fields(
    questions: Mapping[str, str], baseline: Results, now: Results, page: Callable[[str], str]
) -> dict[str, Any]:
    """The report's fields from `scores` to `regressed`; see `evaluate_offline`.

    Args:
        questions: by item id.
        baseline: what the earlier experiment recorded; empty without one.
        now: what this evaluation recorded.
        page: address of a trace's page, by trace id.
    """
    before, after = _by_metric(baseline), _by_metric(now)
    found = compare(before, after, LOWER_IS_BETTER)

    def fields(each: Comparison) -> dict[str, Any]:
        worst = [
            {
                "item_id": item,
                "query": questions[item],
                "baseline": old,
                "now": new,
                "trace": page(now[item][0]),
                "baseline_trace": page(baseline[item][0]),
            }
            for item, old, new in each.worse[:SHOWN_WORST]
        ]
        return {
            "metric": each.metric,
            "higher_is_better": each.higher_is_better,
            "items": each.samples,
            "baseline": round(each.base, DIGITS),
            "now": round(each.head, DIGITS),
            "low": round(each.low, DIGITS),
            "high": round(each.high, DIGITS),
            "regressed": each.regressed,
            "worst": worst,
        }

    return {
        "scores": after,
        "confidence": CONFIDENCE,
        "resamples": RESAMPLES,
        "seed": SEED,
        "comparison": [fields(each) for each in found],
        "not_compared": sorted(before.keys() - {each.metric for each in found}),
        "regressed": [each.metric for each in found if each.regressed],
    }


def gate_failure(report: Mapping[str, Any]) -> str:
    """Why a release with this report must not be promoted, as a sentence; empty when it may."""
    reasons = []
    if unanswered := report["unanswered"]:
        reasons.append(f"{len(unanswered)} questions got no answer ({unanswered[0]['problem']})")
    for each in report["comparison"]:
        if not each["regressed"]:
            continue
        worst = ", ".join(sample["trace"] for sample in each["worst"][:3])
        reasons.append(
            f"{each['metric']} went from {each['baseline']:.3f} to {each['now']:.3f} "
            f"({report['confidence']:.0%} interval of the difference {each['low']:+.3f} to {each['high']:+.3f}), "
            f"worst: {worst}"
        )
    return "; ".join(reasons)


def goodness(report: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The scores of a report by metric and question, turned so that more is better.

    Raises:
        TwinError: the report does not pass the gate.
    """
    if reason := gate_failure(report):
        raise TwinError(f"The evaluation is not passed: {reason}.")
    return {
        name: {item: 1 - METRICS[name].badness(value) for item, value in items.items()}
        for name, items in report["scores"].items()
    }


def _by_metric(results: Results) -> dict[str, dict[str, float]]:
    """Scores by metric and item, of the metrics whose direction is known."""
    found: dict[str, dict[str, float]] = {}
    for item, (_, scores) in results.items():
        for name in scores.keys() & METRICS.keys():
            found.setdefault(name, {})[item] = round(scores[name], DIGITS)
    return found
