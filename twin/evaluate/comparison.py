"""Comparison of two releases on the same samples: the difference, its interval, and which samples got worse."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from statistics import fmean

from services.common.bootstrap import paired_difference

Scores = Mapping[str, Mapping[str, float]]
"""Values by metric and sample."""
DIGITS = 4
"""Opik keeps scores with fewer digits than a float has: what differs beyond these is the same."""


@dataclass(frozen=True)
class Comparison:
    """One metric on the samples that both releases answered.

    Attributes:
        base: mean before.
        head: mean after.
        low: lower end of the 95 % interval of head - base, see `services.common.bootstrap`.
        high: upper end.
        worse: samples with a worse score than before, the largest loss first: sample, before, after.
        higher_is_better: the direction of a good score.
    """

    metric: str
    samples: int
    base: float
    head: float
    low: float
    high: float
    worse: tuple[tuple[str, float, float], ...]
    higher_is_better: bool = True

    @property
    def regressed(self) -> bool:
        """Whether the whole interval lies on the bad side of zero: worse, and not by chance."""
        return self.high < 0 if self.higher_is_better else self.low > 0


def compare(base: Scores, head: Scores, lower_is_better: Container[str] = ()) -> list[Comparison]:
    """Metric by metric over the samples that both have; a metric without a common sample is left out.

    `lower_is_better`: the metrics of which more is worse.
    """
    found = []
    for metric in sorted(base.keys() & head.keys()):
        common = sorted(base[metric].keys() & head[metric].keys())
        if common:
            pairs = [(name, base[metric][name], head[metric][name]) for name in common]
            found.append(_compare(metric, pairs, metric not in lower_is_better))
    return found


def _compare(metric: str, pairs: list[tuple[str, float, float]], higher_is_better: bool) -> Comparison:
    interval = paired_difference([after for _, _, after in pairs], [before for _, before, _ in pairs])
    good = 1 if higher_is_better else -1
    gains = [(good * (after - before), (name, before, after)) for name, before, after in pairs]
    worse = tuple(pair for gain, pair in sorted(gains) if gain < 0)
    base, head = fmean(pair[1] for pair in pairs), fmean(pair[2] for pair in pairs)
    return Comparison(metric, len(pairs), base, head, interval.low, interval.high, worse, higher_is_better)
