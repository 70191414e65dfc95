"""Cost of answers, computed by CloudWatch from running instances and judge calls."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch

from infra.constructs.llm.metrics import LlmMetrics
from infra.constructs.monitoring.metrics import Line, StageMetrics
from infra.settings.deployment import DeploymentSettings

HOUR = cdk.Duration.hours(1)
LIST_PRICES = {
    "ml.g5.xlarge": 1.408,
    "ml.g5.2xlarge": 1.515,
    "ml.g5.4xlarge": 2.03,
    "ml.g5.12xlarge": 7.09,
    "ml.g6.xlarge": 1.1267,
    "ml.g6.2xlarge": 1.222,
    "ml.g6.4xlarge": 1.654,
    "ml.g6.12xlarge": 5.752,
    "ml.g6e.xlarge": 2.61,
    "ml.g6e.2xlarge": 2.8026,
    "ml.g6e.4xlarge": 3.76,
    "ml.g6e.12xlarge": 13.12,
    "ml.p4d.24xlarge": 25.2513,
    "ml.p5.48xlarge": 63.296,
}
"""US dollars per instance and hour in us-east-1, as in twin/cost/prices.json (a test compares the two)."""


class AnswerCost:
    """Cost of the GPU and of the judge. The rest of a stage costs the same with and without questions: `make cost`."""

    def __init__(self, settings: DeploymentSettings, service: StageMetrics, llm: LlmMetrics) -> None:
        self._price = settings.monitoring.usd_per_instance_hour or LIST_PRICES.get(settings.llm.instance_type)
        self._judged = settings.judge.provider != "none"
        self._service = service
        self._llm = llm
        price = "at an unknown price" if self._price is None else f"at {self._price:g} USD an hour"
        self.explanation = (
            f"Counted are the endpoint's instances ({settings.llm.instance_type} {price}) and the judge. "
            "The stage's other costs do not depend on the number of questions: `make cost`."
        )
        """In Markdown: what is counted and what is not."""

    def per_hour(self) -> list[Line]:
        """US dollars spent in each hour, one line per cause."""
        spent: list[Line] = []
        if self._price is not None:
            minutes = {"minutes": self._minutes()}
            spent.append(_math(f"{self._price:g} * minutes / 60", minutes, "Instances"))
        if self._judged:
            spent.append(self._judge())
        return spent

    def per_thousand_answers(self) -> list[Line]:
        """US dollars of each hour per 1,000 questions that got an answer in it; hours without answers have no point."""
        parts: dict[str, str] = {}
        used: dict[str, cloudwatch.IMetric] = {
            # One value is written per question that got its first token.
            "answers": self._service.of("TimeToFirstToken", "SampleCount", period=HOUR)
        }
        if self._price is not None:
            parts["minutes"] = f"{self._price:g} * FILL(minutes, 0) / 60"
            used["minutes"] = self._minutes()
        if self._judged:
            parts["judge"] = "FILL(judge, 0)"
            used["judge"] = self._judge()
        if not parts:
            return []
        return [_math(f"1000 * ({' + '.join(parts.values())}) / answers", used, "USD per 1,000 answers")]

    def _minutes(self) -> cloudwatch.Metric:
        return self._llm.instance_minutes(period=HOUR)

    def _judge(self) -> cloudwatch.Metric:
        return self._service.of("JudgeCost", "Sum", "Judge", HOUR)


def _math(expression: str, metrics: Mapping[str, cloudwatch.IMetric], label: str) -> cloudwatch.MathExpression:
    return cloudwatch.MathExpression(expression=expression, using_metrics=dict(metrics), label=label, period=HOUR)
