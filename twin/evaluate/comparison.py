"""Scores of two releases on the same questions: the difference, how sure it is, and which samples got worse.

A score file is `{"scores": {metric: {sample: value}}}`, values from 0 to 1, more being better.
"""

from __future__ import annotations

import json
import random
from collections.abc import Container, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from twin.ask.ask import ask
from twin.target.errors import TwinError
from twin.target.json_file import read_json
from twin.target.stage import Stage

Scores = Mapping[str, Mapping[str, float]]

CONFIDENCE = 0.95
RESAMPLES = 2_000
SEED = 20
"""Fixed: the same files give the same interval in every run."""


@dataclass(frozen=True)
class Comparison:
    """One metric on the samples that both releases answered.

    Attributes:
        base: mean before.
        head: mean after.
        low: lower end of the 95 % interval of head - base (paired percentile bootstrap; Efron and Tibshirani, An
            Introduction to the Bootstrap, chapter 13).
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


def read(path: Path) -> dict[str, dict[str, float]]:
    """The scores in a file.

    Raises:
        TwinError: it is not of that form.
    """
    document = read_json(path)
    try:
        scores = {
            str(metric): {str(sample): float(value) for sample, value in values.items()}
            for metric, values in document["scores"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        raise TwinError(f"{path} holds no scores: it must be {{'scores': {{metric: {{sample: value}}}}}}.") from None
    if not any(scores.values()):
        raise TwinError(f"{path} holds no scores of any sample.")
    return scores


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


def gate(base: Scores, head: Scores) -> list[str]:
    """A sentence for each metric that is lost or has regressed, with its samples; none means that `head` may go on."""
    lost = [f"{metric} is measured no more" for metric in sorted(base.keys() - head.keys())]
    lost += [
        f"{metric} lacks the samples {', '.join(missing)}"
        for metric in sorted(base.keys() & head.keys())
        if (missing := sorted(base[metric].keys() - head[metric].keys()))
    ]
    return [
        *lost,
        *(
            f"{each.metric} fell from {each.base:.3f} to {each.head:.3f} "
            f"(95 % interval of the difference {each.low:+.3f} to {each.high:+.3f}); regressed samples: "
            + ", ".join(f"{sample} ({before:.2f} -> {after:.2f})" for sample, before, after in each.worse)
            for each in compare(base, head)
            if each.regressed
        ),
    ]


def measure(stage: Stage, file: Path, concurrency: int) -> dict[str, dict[str, float]]:
    """Ask the stage every labelled question, `concurrency` at the same time; a sample is a question's text.

    `sources_recall` is the share of the relevant documents among the answer's sources; `answered` is 1 when there is
    an answer.

    Raises:
        TwinError: the file is wrong, or the service refuses.
    """
    labelled = _labelled(file)
    with ThreadPoolExecutor(concurrency) as pool:
        answers = dict(zip(labelled, pool.map(partial(ask, stage, rehearsal=True), labelled), strict=True))
    recall = {query: _recall(relevant, answers[query].sources) for query, relevant in labelled.items()}
    return {
        "sources_recall": recall,
        "answered": {query: float(bool(answer.text.strip())) for query, answer in answers.items()},
    }


def _labelled(file: Path) -> dict[str, set[str]]:
    """Relevant documents by question."""
    found: dict[str, set[str]] = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        try:
            entry = json.loads(line)
            found[str(entry["query"])] = set(entry["relevant"])
        except (ValueError, KeyError, TypeError):
            raise TwinError(f"{file}, line {number}: not of the form query, relevant.") from None
    return found


def _recall(relevant: set[str], sources: list[dict[str, Any]]) -> float:
    found = {str(source["document_id"]) for source in sources}
    return len(relevant & found) / len(relevant) if relevant else 1.0


def _compare(metric: str, pairs: list[tuple[str, float, float]], higher_is_better: bool) -> Comparison:
    differences = [after - before for _, before, after in pairs]
    low, high = _interval(differences)
    good = 1 if higher_is_better else -1
    gains = [(good * difference, pair) for difference, pair in zip(differences, pairs, strict=True)]
    worse = tuple(pair for gain, pair in sorted(gains) if gain < 0)
    base, head = fmean(pair[1] for pair in pairs), fmean(pair[2] for pair in pairs)
    return Comparison(metric, len(pairs), base, head, low, high, worse, higher_is_better)


def _interval(differences: list[float]) -> tuple[float, float]:
    drawn = random.Random(SEED)  # noqa: S311 - resampling, not a secret
    means = sorted(fmean(drawn.choices(differences, k=len(differences))) for _ in range(RESAMPLES))
    tail = round(RESAMPLES * (1 - CONFIDENCE) / 2)
    return means[tail], means[-tail - 1]
