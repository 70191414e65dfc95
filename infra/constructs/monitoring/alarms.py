"""Alarms: what they watch, and the topic that tells people."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.functions.service_function import ServiceFunction
from infra.constructs.llm.metrics import LlmMetrics
from infra.settings.evaluation import EvaluationSettings

MISSING = {
    "breaching": cloudwatch.TreatMissingData.BREACHING,
    "notBreaching": cloudwatch.TreatMissingData.NOT_BREACHING,
    "ignore": cloudwatch.TreatMissingData.IGNORE,
}


class AlertsTopic(Construct):
    """An encrypted topic that alarms and, if wanted, budgets of this account may publish to, over TLS only."""

    def __init__(self, scope: Construct, construct_id: str, *, budgets: bool = False) -> None:
        super().__init__(scope, construct_id)
        # CloudWatch cannot publish through the AWS-managed key of SNS: its policy cannot be extended.
        self.key = kms.Key(
            self,
            "Key",
            description="Encrypts alerts between CloudWatch and their subscribers",
            enable_key_rotation=True,
            pending_window=cdk.Duration.days(7),
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        self.topic = sns.Topic(self, "Topic", master_key=self.key, enforce_ssl=True)
        for publisher in (_alarms_of(self), *((budgets_of(self),) if budgets else ())):
            # A topic policy of our own replaces the default one, which let the account's alarms publish. The grant is
            # one of the key as well.
            self.topic.grant_publish(publisher)


class Alarms(Construct):
    """Alarms that all speak to one topic, when they go off and when they recover.

    Each description ends in the section of docs/runbook.md that says what to do: `(runbook: <section>)`.
    """

    def __init__(self, scope: Construct, construct_id: str, *, topic: sns.ITopic) -> None:
        super().__init__(scope, construct_id)
        self._action = actions.SnsAction(topic)
        self.raised: list[cloudwatch.Alarm] = []
        """Every alarm of this construct, in the order of declaration."""

    def dead_letters(self, construct_id: str, queue: sqs.IQueue, what: str) -> cloudwatch.Alarm:
        """Alarm as soon as one message lies in a dead-letter queue."""
        return self._alarm(
            construct_id,
            queue.metric_approximate_number_of_messages_visible(period=cdk.Duration.minutes(1), statistic="Maximum"),
            f"{what} ended in the dead-letter queue.",
            "dead-letters",
        )

    def service(self, prefix: str, service: ServiceFunction, failing: str, lost: str) -> None:
        """Alarm when a function failed and, where nobody waits for it, when a call of it was lost."""
        self.function_errors(f"{prefix}Errors", service.function, failing)
        if service.dead_letters is not None:
            self.dead_letters(f"{prefix}Lost", service.dead_letters, lost)

    def function_errors(self, construct_id: str, function: lambda_.IFunction, what: str) -> cloudwatch.Alarm:
        """Alarm when a function failed."""
        metric = function.metric_errors(period=cdk.Duration.minutes(5))
        return self._alarm(construct_id, metric, f"{what} failed.", "function-errors")

    def unhealthy(self, construct_id: str, metric: cloudwatch.IMetric, what: str) -> cloudwatch.Alarm:
        """Alarm when a count stays above zero for three periods."""
        return self._alarm(construct_id, metric, what, "unhealthy-service", periods=3)

    def queue_age(self, construct_id: str, queue: sqs.IQueue, seconds: int) -> cloudwatch.Alarm:
        """Alarm when a message waits too long."""
        metric = queue.metric_approximate_age_of_oldest_message(period=cdk.Duration.minutes(5), statistic="Maximum")
        what = f"Samples wait longer than {seconds} s to be collected."
        return self._alarm(construct_id, metric, what, "queue-age", threshold=seconds)

    def failed_runs(self, construct_id: str, state_machine_arn: str) -> cloudwatch.Alarm:
        """Alarm when a run over the state machine failed."""
        metric = cloudwatch.Metric(
            namespace="AWS/States",
            metric_name="ExecutionsFailed",
            dimensions_map={"StateMachineArn": state_machine_arn},
            statistic="Sum",
            period=cdk.Duration.minutes(5),
        )
        return self._alarm(construct_id, metric, "A long evaluation failed.", "function-errors")

    def endpoint_errors(self, construct_id: str, llm: LlmMetrics) -> cloudwatch.Alarm:
        """Alarm when the LLM answers with server errors."""
        metric = llm.invocation("Invocation5XXErrors", "Sum")
        return self._alarm(construct_id, metric, "The LLM answers with server errors.", "endpoint-errors", periods=3)

    def endpoint_latency(self, construct_id: str, llm: LlmMetrics, seconds: float) -> cloudwatch.Alarm:
        """Alarm when one answer in a hundred takes too long."""
        metric = llm.invocation("ModelLatency", "p99")
        what = f"One LLM answer in a hundred takes longer than {seconds:g} s."
        microseconds = seconds * 1_000_000
        return self._alarm(construct_id, metric, what, "endpoint-latency", periods=3, threshold=microseconds)

    def gpu_memory(self, construct_id: str, llm: LlmMetrics, percent: float) -> cloudwatch.Alarm:
        """Alarm when the GPU memory of a copy stays nearly full; a model that sleeps reports nothing and is fine."""
        metric = llm.copy("GPUMemoryUtilizationNormalized", "Maximum")
        what = f"The memory of the model's GPUs is more than {percent:g} % full."
        return self._alarm(construct_id, metric, what, "gpu-memory", periods=5, threshold=percent)

    def endpoint_disk(self, construct_id: str, llm: LlmMetrics, percent: float) -> cloudwatch.Alarm:
        """Alarm when the disk of an instance stays nearly full."""
        metric = llm.instance("DiskUtilization", "Maximum")
        what = f"The disk of the endpoint's instance is more than {percent:g} % full."
        return self._alarm(construct_id, metric, what, "endpoint-disk", periods=5, threshold=percent)

    def failed_scores(self, construct_id: str, settings: EvaluationSettings, stage: str) -> cloudwatch.Alarm:
        """Alarm when samples could not be scored."""
        metric = self._metric(settings, stage, "FailedScores", "Sum")
        what = "Samples could not be scored; the quality metrics rest on fewer answers."
        return self._alarm(construct_id, metric, what, "failed-scores")

    def judging_stopped(self, construct_id: str, settings: EvaluationSettings, stage: str) -> cloudwatch.Alarm:
        """Alarm when the month's budget of the judge is used up."""
        metric = self._metric(settings, stage, "JudgementsStopped", "Sum")
        what = "The judge's budget of this month is used up; only the free scores go on."
        return self._alarm(construct_id, metric, what, "judging-stopped")

    def no_evaluation(self, construct_id: str, settings: EvaluationSettings, stage: str) -> cloudwatch.Alarm:
        """Alarm when no evaluation has reported, not even that there was nothing to judge."""
        return self._alarm(
            construct_id,
            self._metric(settings, stage, "ScoredSamples", "SampleCount"),
            "No evaluation has run.",
            "no-evaluation",
            threshold=1,
            comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            missing=MISSING[settings.missing_data],
        )

    def quality(self, settings: EvaluationSettings, stage: str) -> list[cloudwatch.Alarm]:
        """Alarms when the mean or the worst tenth of a metric falls below its threshold.

        No scores at all are told by the mean's alarm; the tenth's would only repeat it.
        """
        below = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
        quiet = cloudwatch.TreatMissingData.NOT_BREACHING
        alarms = []
        for name, limits in settings.quality.items():
            for suffix, limit, missing in (
                ("", limits.mean, MISSING[settings.missing_data]),
                ("P10", limits.p10, quiet),
            ):
                if limit is None:
                    continue
                of = "mean" if not suffix else "worst tenth"
                alarm = self._alarm(
                    f"{name}{suffix}",
                    self._metric(settings, stage, f"{name}{suffix}", "Average"),
                    f"Answers are bad: the {of} of {name} is below {limit:g}.",
                    "answer-quality",
                    threshold=limit,
                    comparison=below,
                    missing=missing,
                )
                alarms.append(alarm)
        return alarms

    def any_of(self, construct_id: str, alarms: Sequence[cloudwatch.IAlarm], what: str) -> cloudwatch.CompositeAlarm:
        """One alarm over others, for those who want to be told once."""
        rule = cloudwatch.AlarmRule.any_of(
            *(cloudwatch.AlarmRule.from_alarm(alarm, cloudwatch.AlarmState.ALARM) for alarm in alarms)
        )
        composite = cloudwatch.CompositeAlarm(
            self, construct_id, alarm_rule=rule, alarm_description=f"{what} (runbook: twin-is-ill)"
        )
        composite.add_alarm_action(self._action)
        composite.add_ok_action(self._action)
        return composite

    def _metric(self, settings: EvaluationSettings, stage: str, name: str, statistic: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=settings.metric_namespace,
            metric_name=name,
            dimensions_map={"Stage": stage},
            statistic=statistic,
            period=cdk.Duration.seconds(settings.alarm_period_seconds),
        )

    def _alarm(
        self,
        construct_id: str,
        metric: cloudwatch.IMetric,
        what: str,
        section: str,
        *,
        periods: int = 1,
        threshold: float = 0,
        comparison: cloudwatch.ComparisonOperator = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
        missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    ) -> cloudwatch.Alarm:
        alarm = cloudwatch.Alarm(
            self,
            construct_id,
            alarm_description=f"{what} (runbook: {section})",
            metric=metric,
            threshold=threshold,
            comparison_operator=comparison,
            evaluation_periods=periods,
            treat_missing_data=missing,
        )
        alarm.add_alarm_action(self._action)
        alarm.add_ok_action(self._action)
        self.raised.append(alarm)
        return alarm


def _alarms_of(scope: Construct) -> iam.ServicePrincipal:
    """CloudWatch on behalf of this account."""
    conditions = {"StringEquals": {"aws:SourceAccount": cdk.Stack.of(scope).account}}
    return iam.ServicePrincipal("cloudwatch.amazonaws.com", conditions=conditions)


def budgets_of(scope: Construct) -> iam.ServicePrincipal:
    """AWS Budgets on behalf of this account.

    Policy: https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-sns-policy.html
    """
    stack = cdk.Stack.of(scope)
    return iam.ServicePrincipal(
        "budgets.amazonaws.com",
        conditions={
            "StringEquals": {"aws:SourceAccount": stack.account},
            "ArnLike": {"aws:SourceArn": f"arn:{stack.partition}:budgets::{stack.account}:*"},
        },
    )
