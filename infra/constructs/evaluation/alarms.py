"""Alarms of the evaluation stack: on its functions and queues, on the quality of answers, and on the LLM endpoint."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.constructs.evaluation.judging import Judging
from infra.constructs.evaluation.samples_queue import SamplesQueue
from infra.constructs.functions.service_function import ServiceFunction
from infra.constructs.llm.alarms import endpoint_alarms
from infra.constructs.monitoring.alarms import Alarms
from infra.settings.deployment import DeploymentSettings

MISSING = {
    "breaching": cloudwatch.TreatMissingData.BREACHING,
    "notBreaching": cloudwatch.TreatMissingData.NOT_BREACHING,
    "ignore": cloudwatch.TreatMissingData.IGNORE,
}


class EvaluationAlarms(Alarms):
    """Alarms on the evaluation itself, on the quality that it measures, and on the endpoint.

    Attributes:
        first_of_quality: the first alarm on the quality of the answers.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        topic: sns.ITopic,
        settings: DeploymentSettings,
        samples: SamplesQueue,
        functions: Mapping[str, ServiceFunction],
        judging: Judging,
    ) -> None:
        """`functions` have the names that alarm messages call them by."""
        super().__init__(scope, construct_id, topic=topic)
        self._settings, self._stage = settings.evaluation, settings.stage
        self.dead_letters("SamplesLost", samples.dead_letters, "Samples that could not be collected")
        self._queue_age(samples)
        for name, service in functions.items():
            self.service(name, service, name, f"A call of the {name.lower()}")
        self._failed_runs(judging)
        self._failed_scores()
        if settings.judge.provider != "none":
            self._judging_stopped()
        self._no_evaluation()
        noticed = [*self._quality(), *endpoint_alarms(self, settings)]
        self.any_of(
            "ServiceDegraded", noticed, "Service degraded: answers are bad, late or missing.", "service-degraded"
        )
        self.first_of_quality: cloudwatch.Alarm = noticed[0]

    def _queue_age(self, samples: SamplesQueue) -> None:
        """Alarm when a sample waits too long to be collected."""
        seconds = self._settings.queue_age_seconds
        period = cdk.Duration.minutes(5)
        metric = samples.queue.metric_approximate_age_of_oldest_message(period=period, statistic="Maximum")
        what = f"Samples wait longer than {seconds} s to be collected."
        self.alarm("SamplesLate", metric, what, "queue-age", threshold=seconds)

    def _failed_runs(self, judging: Judging) -> None:
        """Alarm when a run over the state machine failed."""
        metric = cloudwatch.Metric(
            namespace="AWS/States",
            metric_name="ExecutionsFailed",
            dimensions_map={"StateMachineArn": judging.arn},
            statistic="Sum",
            period=cdk.Duration.minutes(5),
        )
        self.alarm("RunsFailed", metric, "A long evaluation failed.", "function-errors")

    def _failed_scores(self) -> None:
        """Alarm when samples could not be scored."""
        what = "Samples could not be scored; the quality metrics rest on fewer answers."
        self.alarm("FailedScores", self._metric("FailedScores", "Sum"), what, "failed-scores")

    def _judging_stopped(self) -> None:
        """Alarm when the judge's budget of the month is used up."""
        what = "The judge's budget of this month is used up; only the free scores go on."
        self.alarm("JudgingStopped", self._metric("JudgementsStopped", "Sum"), what, "judging-stopped")

    def _no_evaluation(self) -> None:
        """Alarm when no evaluation has reported, not even that there was nothing to judge."""
        self.alarm(
            "NoEvaluation",
            self._metric("ScoredSamples", "SampleCount"),
            "No evaluation has run.",
            "no-evaluation",
            threshold=1,
            comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            missing=MISSING[self._settings.missing_data],
        )

    def _quality(self) -> list[cloudwatch.Alarm]:
        """Alarms when the mean or the worst tenth of a metric falls below its threshold.

        A window without any scores is reported by the mean's alarm only.
        """
        mean_missing, p10_missing = MISSING[self._settings.missing_data], cloudwatch.TreatMissingData.NOT_BREACHING
        unjudged = ", or no answers were judged" if mean_missing == cloudwatch.TreatMissingData.BREACHING else ""
        return [
            self.alarm(
                name,
                self._metric(name, "Average"),
                f"Answers are bad: the {of} of {metric} is below {limit:g}{nothing}.",
                "answer-quality",
                threshold=limit,
                comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
                missing=missing,
            )
            for metric, limits in self._settings.quality.items()
            for name, of, limit, missing, nothing in (
                (metric, "mean", limits.mean, mean_missing, unjudged),
                (f"{metric}P10", "worst tenth", limits.p10, p10_missing, ""),
            )
            if limit is not None
        ]

    def _metric(self, name: str, statistic: str) -> cloudwatch.Metric:
        """A metric that the evaluation publishes."""
        return cloudwatch.Metric(
            namespace=self._settings.metric_namespace,
            metric_name=name,
            dimensions_map={"Stage": self._stage},
            statistic=statistic,
            period=cdk.Duration.seconds(self._settings.alarm_period_seconds),
        )
