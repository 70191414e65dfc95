"""Publication of a run's scores as CloudWatch metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from services.evaluation.judges.session import JudgingReport
from services.evaluation.metrics.drift import Drift
from services.evaluation.metrics.names import METRICS
from services.evaluation.metrics.summary import summarise
from services.evaluation.run.scored_shard import ScoredItem

Figure = tuple[str, float, str]
"""Metric name, value, unit."""


def publish(
    client: Any,
    namespace: str,
    stage: str,
    items: Sequence[ScoredItem],
    judging: JudgingReport | None = None,
    drift: Drift | None = None,
) -> None:
    """Send the metrics with the dimension `Stage`, and the scores of each model with `Stage` and `ModelId`.

    Per metric: its mean (`Groundedness`), 10th percentile (`GroundednessP10`), where a high score is bad the 90th
    (`HallucinationP90`), scores (`GroundednessSamples`) and scores that could not be computed (`GroundednessFailed`).
    Over all: `ScoredSamples`, `FailedScores`, and `FailedAnswers`, the sampled requests that got no answer. A mean that
    does not exist is not sent: the alarms have a rule for missing data, and 0 would be wrong.

    Args:
        client: of `cloudwatch`.
        namespace: CloudWatch namespace.
        stage: deployment stage.
        items: the judged answers.
        judging: calls and cost of the judge; None without a judge.
        drift: of the answers against earlier ones; None when it is not known.

    Raises:
        botocore.exceptions.ClientError: CloudWatch refuses.
    """
    figures = (*_scores(items), *_drift(drift), *_judging(judging))
    data = [_datum(figure, Stage=stage) for figure in figures]
    for model_id in sorted({item.model_id for item in items}):
        own = [item for item in items if item.model_id == model_id]
        data += [_datum(figure, Stage=stage, ModelId=model_id) for figure in _scores(own)]
    client.put_metric_data(Namespace=namespace, MetricData=data)


def _scores(items: Sequence[ScoredItem]) -> Iterator[Figure]:
    summary = summarise([item.scores for item in items])
    yield "ScoredSamples", summary.scored, "Count"
    yield "FailedScores", summary.failed, "Count"
    yield "FailedAnswers", sum(not item.is_answer for item in items), "Count"
    for name, metric in METRICS.items():
        if name in summary.means:
            yield metric.cloudwatch, summary.means[name], "None"
            yield f"{metric.cloudwatch}P10", summary.p10[name], "None"
        if name in summary.p90:
            yield f"{metric.cloudwatch}P90", summary.p90[name], "None"
        if name in summary.counts or name in summary.failed_by:
            yield f"{metric.cloudwatch}Samples", summary.counts.get(name, 0), "Count"
            yield f"{metric.cloudwatch}Failed", summary.failed_by.get(name, 0), "Count"


def _judging(judging: JudgingReport | None) -> Iterator[Figure]:
    if judging is None:
        return
    yield "JudgeCalls", judging.calls, "Count"
    yield "JudgeInputTokens", judging.input_tokens, "Count"
    yield "JudgeOutputTokens", judging.output_tokens, "Count"
    yield "JudgeCost", judging.dollars, "None"
    yield "JudgementsStopped", judging.stopped, "Count"


def _drift(drift: Drift | None) -> Iterator[Figure]:
    if drift is None:
        return
    yield "LengthDrift", drift.length, "None"
    yield "LanguageDrift", drift.language, "None"


def _datum(figure: Figure, **dimensions: str) -> dict[str, Any]:
    name, value, unit = figure
    return {
        "MetricName": name,
        "Dimensions": [{"Name": key, "Value": text} for key, text in dimensions.items()],
        "Value": float(value),
        "Unit": unit,
    }
