"""Alarms: what they watch, and the topic that tells people."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.settings_groups import EvaluationSettings

MISSING = {
    "breaching": cloudwatch.TreatMissingData.BREACHING,
    "notBreaching": cloudwatch.TreatMissingData.NOT_BREACHING,
    "ignore": cloudwatch.TreatMissingData.IGNORE,
}


class AlertsTopic(Construct):
    """An encrypted topic that CloudWatch alarms of this account may publish to, over TLS only."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
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
        self.key.grant(
            _alarms_of(self),
            "kms:Decrypt",
            "kms:GenerateDataKey",
        )
        self.topic = sns.Topic(self, "Topic", master_key=self.key, enforce_ssl=True)
        # A topic policy of our own replaces the default one, which let the account's alarms publish.
        self.topic.grant_publish(_alarms_of(self))


class Alarms(Construct):
    """Alarms that all speak to one topic."""

    def __init__(self, scope: Construct, construct_id: str, *, topic: sns.ITopic) -> None:
        super().__init__(scope, construct_id)
        self._action = actions.SnsAction(topic)

    def dead_letters(self, construct_id: str, queue: sqs.IQueue, what: str) -> cloudwatch.Alarm:
        """Alarm as soon as one message lies in a dead-letter queue."""
        return self._alarm(
            construct_id,
            queue.metric_approximate_number_of_messages_visible(period=cdk.Duration.minutes(1), statistic="Maximum"),
            f"{what} ended in the dead-letter queue.",
        )

    def function_errors(self, construct_id: str, function: lambda_.IFunction, what: str) -> cloudwatch.Alarm:
        """Alarm when a function failed."""
        return self._alarm(construct_id, function.metric_errors(period=cdk.Duration.minutes(5)), f"{what} failed.")

    def unhealthy(self, construct_id: str, metric: cloudwatch.IMetric, what: str) -> cloudwatch.Alarm:
        """Alarm when a count stays above zero for three periods."""
        return self._alarm(construct_id, metric, what, periods=3)

    def failed_scores(self, construct_id: str, settings: EvaluationSettings, stage: str) -> cloudwatch.Alarm:
        """Alarm when samples could not be scored."""
        metric = self._metric(settings, stage, "FailedScores", "Sum")
        return self._alarm(
            construct_id, metric, "Samples could not be scored; the quality metrics rest on fewer answers."
        )

    def quality(self, construct_id: str, settings: EvaluationSettings, stage: str) -> cloudwatch.Alarm:
        """Alarm when the mean groundedness of answers falls below the threshold."""
        alarm = cloudwatch.Alarm(
            self,
            construct_id,
            alarm_description=f"Answers are less grounded in their sources than {settings.groundedness_threshold}.",
            metric=self._metric(settings, stage, "Groundedness", "Average"),
            threshold=settings.groundedness_threshold,
            comparison_operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            evaluation_periods=1,
            treat_missing_data=MISSING[settings.missing_data],
        )
        alarm.add_alarm_action(self._action)
        alarm.add_ok_action(self._action)
        return alarm

    def _metric(self, settings: EvaluationSettings, stage: str, name: str, statistic: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=settings.metric_namespace,
            metric_name=name,
            dimensions_map={"Stage": stage},
            statistic=statistic,
            period=cdk.Duration.seconds(settings.alarm_period_seconds),
        )

    def _alarm(self, construct_id: str, metric: cloudwatch.IMetric, what: str, periods: int = 1) -> cloudwatch.Alarm:
        alarm = cloudwatch.Alarm(
            self,
            construct_id,
            alarm_description=what,
            metric=metric,
            threshold=0,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=periods,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(self._action)
        return alarm


def _alarms_of(scope: Construct) -> iam.ServicePrincipal:
    """CloudWatch on behalf of this account."""
    conditions = {"StringEquals": {"aws:SourceAccount": cdk.Stack.of(scope).account}}
    return iam.ServicePrincipal("cloudwatch.amazonaws.com", conditions=conditions)
