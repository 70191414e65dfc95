"""CloudWatch metrics that the services publish, by stage and name."""

from __future__ import annotations

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch

Line = cloudwatch.Metric | cloudwatch.MathExpression
"""One line of a graph."""
FIVE_MINUTES = cdk.Duration.minutes(5)


@dataclass(frozen=True)
class Score:
    """A quality metric.

    Attributes:
        name: in CloudWatch.
        worst: what is appended to the name for its worst tenth: `P10`, or `P90` where high is bad.
        judged: whether it takes a judge.
    """

    name: str
    worst: str = "P10"
    judged: bool = False


SCORES = (
    Score("Groundedness"),
    Score("AnswerRelevance"),
    Score("LanguageMatch"),
    Score("Refusal", "P90"),
    Score("PromptInjection", "P90"),
    Score("Hallucination", "P90", judged=True),
    Score("Moderation", "P90", judged=True),
    Score("JudgedAnswerRelevance", judged=True),
    Score("Style", judged=True),
    Score("ContextPrecision", judged=True),
)
"""Every score that an evaluation publishes (a test compares them with services.evaluation)."""


@dataclass(frozen=True)
class StageMetrics:
    """Metrics in the project's namespace with the dimension `Stage`."""

    namespace: str
    stage: str

    def of(
        self, name: str, statistic: str, label: str | None = None, period: cdk.Duration = FIVE_MINUTES
    ) -> cloudwatch.Metric:
        """The metric `name` of this stage."""
        return cloudwatch.Metric(
            namespace=self.namespace,
            metric_name=name,
            dimensions_map={"Stage": self.stage},
            statistic=statistic,
            label=label or name,
            period=period,
        )
