"""Publishing a run's summary as CloudWatch metrics."""

from __future__ import annotations

from typing import Any

import boto3

from services.evaluation.metrics.summary import ANSWER_RELEVANCE, GROUNDEDNESS, Summary

_METRIC_BY_SCORE = {GROUNDEDNESS: "Groundedness", ANSWER_RELEVANCE: "AnswerRelevance"}


def publish(namespace: str, stage: str, summary: Summary) -> None:
    """Send the metrics with the dimension `Stage`.

    A mean that does not exist is not sent: the alarms treat missing data on their own, and 0 would be a lie.

    Raises:
        botocore.exceptions.ClientError: CloudWatch refuses.
    """
    data = [
        _datum(stage, "ScoredSamples", summary.scored, "Count"),
        _datum(stage, "FailedScores", summary.failed, "Count"),
    ]
    for score, metric in _METRIC_BY_SCORE.items():
        if score in summary.means:
            data.append(_datum(stage, metric, summary.means[score], "None"))
            data.append(_datum(stage, f"{metric}P10", summary.p10[score], "None"))
    boto3.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=data)


def _datum(stage: str, name: str, value: float, unit: str) -> dict[str, Any]:
    return {
        "MetricName": name,
        "Dimensions": [{"Name": "Stage", "Value": stage}],
        "Value": float(value),
        "Unit": unit,
    }
