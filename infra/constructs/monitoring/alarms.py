"""Base of every subject's alarms, and the topic that they notify."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.functions.service_function import ServiceFunction


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
            # An explicit topic policy replaces the default one, which let the account's alarms publish. The grant also
            # covers the key.
            self.topic.grant_publish(publisher)


class Alarms(Construct):
    """Alarms of one subject; each notifies one topic when it goes off and when it recovers.

    The construct of each subject declares its own: `infra.constructs.<subject>.alarms`. Each description ends in the
    section of docs/runbook.md that says what to do: `(runbook: <section>)`.
    """

    def __init__(self, scope: Construct, construct_id: str, *, topic: sns.ITopic) -> None:
        super().__init__(scope, construct_id)
        self._action = actions.SnsAction(topic)

    def alarm(
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
        """Alarm on one metric.

        Args:
            construct_id: of the alarm.
            metric: what is compared.
            what: sentence that says what is wrong while the alarm is on.
            section: anchor of the runbook's section.
            periods: periods in a row that must break the threshold.
            threshold: in the unit of the metric.
            comparison: of the metric with the threshold.
            missing: how a period without data counts.
        """
        alarm = cloudwatch.Alarm(
            self,
            construct_id,
            alarm_description=_description(what, section),
            metric=metric,
            threshold=threshold,
            comparison_operator=comparison,
            evaluation_periods=periods,
            treat_missing_data=missing,
        )
        self._notify(alarm)
        return alarm

    def dead_letters(self, construct_id: str, queue: sqs.IQueue, what: str) -> cloudwatch.Alarm:
        """Alarm as soon as one message lies in a dead-letter queue."""
        metric = queue.metric_approximate_number_of_messages_visible(
            period=cdk.Duration.minutes(1), statistic="Maximum"
        )
        return self.alarm(construct_id, metric, f"{what} ended in the dead-letter queue.", "dead-letters")

    def service(self, prefix: str, service: ServiceFunction, failing: str, lost: str) -> None:
        """Alarm when a function failed and, for asynchronous calls, when a call of it was lost."""
        errors = service.function.metric_errors(period=cdk.Duration.minutes(5))
        self.alarm(f"{prefix}Errors", errors, f"{failing} failed.", "function-errors")
        if service.dead_letters is not None:
            self.dead_letters(f"{prefix}Lost", service.dead_letters, lost)

    def any_of(
        self, construct_id: str, alarms: Sequence[cloudwatch.IAlarm], what: str, section: str
    ) -> cloudwatch.CompositeAlarm:
        """Composite alarm that is on while any of `alarms` is."""
        rule = cloudwatch.AlarmRule.any_of(
            *(cloudwatch.AlarmRule.from_alarm(alarm, cloudwatch.AlarmState.ALARM) for alarm in alarms)
        )
        composite = cloudwatch.CompositeAlarm(
            self, construct_id, alarm_rule=rule, alarm_description=_description(what, section)
        )
        self._notify(composite)
        return composite

    def _notify(self, alarm: cloudwatch.AlarmBase) -> None:
        alarm.add_alarm_action(self._action)
        alarm.add_ok_action(self._action)


def _description(what: str, section: str) -> str:
    return f"{what} (runbook: {section})"


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
