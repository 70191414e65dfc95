"""Agreement of scores with labels: confusion table, agreement, Cohen's kappa, AUC."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from services.evaluation.metrics.names import ANSWER_RELEVANCE, METRICS

DEFAULT_THRESHOLD = 0.5
DEFAULT_THRESHOLDS = {ANSWER_RELEVANCE: 0.1}
"""For scores whose middle separates nothing: a question and its answer have a low cosine, other pairs a lower one."""


@dataclass(frozen=True)
class Agreement:
    """A score against the labels of one task.

    Attributes:
        task: name of the task.
        score: name of the score.
        pairs: pairs with a score.
        failed: pairs whose score could not be computed; they are in no other figure.
        thresholds: scores (as goodness, 1 is best) at which the next better label begins.
        agreement: share of pairs with the label of the person.
        kappa: Cohen's kappa; None when it is not defined (only one label was given and predicted).
        auc: probability that a pair of the better label scores better, for two labels; ties count half.
        best_threshold: goodness threshold with the highest kappa on these pairs, for two labels.
        best_kappa: that kappa.
        confusion: person's label -> predicted label -> pairs.
        wrong: ids of the pairs with another label than the person's.
    """

    task: str
    score: str
    pairs: int
    failed: int
    thresholds: tuple[float, ...]
    agreement: float
    kappa: float | None
    auc: float | None
    best_threshold: float | None
    best_kappa: float | None
    confusion: dict[str, dict[str, int]]
    wrong: list[str]


def measure(
    task: str,
    labels: Sequence[str],
    score: str,
    scored: Mapping[str, tuple[str, float]],
    failed: int,
    threshold: float | None = None,
) -> Agreement:
    """Compare a score with labels.

    Three labels divide the goodness at the middle between the points 0, 0.5 and 1; two at the threshold.

    Args:
        task: name of the task.
        labels: its labels, worst first; two or three.
        score: name of the score, whose direction is known in `METRICS`.
        scored: person's label and score by pair.
        failed: how many scores failed.
        threshold: for two labels, goodness from which the better one is predicted; None for the score's default.
    """
    goodness = {pair: 1 - METRICS[score].badness(value) for pair, (_, value) in scored.items()}
    given = {pair: label for pair, (label, _) in scored.items()}
    if threshold is None:
        threshold = DEFAULT_THRESHOLDS.get(score, DEFAULT_THRESHOLD)
    steps = (threshold,) if len(labels) == 2 else _middles(len(labels))
    predicted = {pair: _label(labels, steps, value) for pair, value in goodness.items()}
    order = list(scored)
    person, machine = [given[pair] for pair in order], [predicted[pair] for pair in order]
    best = _best_threshold(labels, person, [goodness[pair] for pair in order]) if len(labels) == 2 else None
    counts = Counter(zip(person, machine, strict=True))
    return Agreement(
        task=task,
        score=score,
        pairs=len(order),
        failed=failed,
        thresholds=steps,
        agreement=sum(a == b for a, b in zip(person, machine, strict=True)) / len(order) if order else 0.0,
        kappa=cohens_kappa(person, machine),
        auc=_auc(labels, person, [goodness[pair] for pair in order]),
        best_threshold=best[0] if best else None,
        best_kappa=best[1] if best else None,
        confusion={label: {other: counts[label, other] for other in labels} for label in labels},
        wrong=[pair for pair in order if given[pair] != predicted[pair]],
    )


def cohens_kappa(first: Sequence[str], second: Sequence[str]) -> float | None:
    """Agreement beyond chance, (p_o - p_e) / (1 - p_e), unweighted (Cohen 1960); None when chance alone agrees fully.

    Raises:
        ValueError: the two are of different length.
    """
    if len(first) != len(second):
        raise ValueError("both raters rate the same pairs")
    total = len(first)
    if not total:
        return None
    observed = sum(a == b for a, b in zip(first, second, strict=True)) / total
    one, other = Counter(first), Counter(second)
    expected = sum(one[label] * other[label] for label in one) / total**2
    return None if expected == 1 else (observed - expected) / (1 - expected)


def _middles(labels: int) -> tuple[float, ...]:
    points = [index / (labels - 1) for index in range(labels)]
    return tuple((low + high) / 2 for low, high in pairwise(points))


def _label(labels: Sequence[str], steps: Sequence[float], value: float) -> str:
    return labels[sum(value >= step for step in steps)]


def _auc(labels: Sequence[str], person: Sequence[str], values: Sequence[float]) -> float | None:
    if len(labels) != 2:
        return None
    better = [value for label, value in zip(person, values, strict=True) if label == labels[1]]
    worse = [value for label, value in zip(person, values, strict=True) if label == labels[0]]
    if not better or not worse:
        return None
    wins = sum((high > low) + 0.5 * (high == low) for high in better for low in worse)
    return wins / (len(better) * len(worse))


def _best_threshold(
    labels: Sequence[str], person: Sequence[str], values: Sequence[float]
) -> tuple[float, float] | None:
    """The threshold between two neighbouring scores with the highest kappa, the lowest of them on a tie."""
    ordered = sorted(set(values))
    best: tuple[float, float] | None = None
    for low, high in pairwise(ordered):
        threshold = (low + high) / 2
        kappa = cohens_kappa(person, [_label(labels, (threshold,), value) for value in values])
        if kappa is not None and (best is None or kappa > best[1]):
            best = threshold, kappa
    return best
