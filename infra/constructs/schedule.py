"""Schedules that call a function: repeatedly, or once at the end of a stack's life."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sqs as sqs
from constructs import Construct


class FunctionSchedule(Construct):
    """An EventBridge schedule in a group of its own, with a role that may call one function."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        expression: str,
        description: str,
        function: lambda_.IFunction,
        dead_letters: sqs.IQueue,
        enabled: bool = True,
    ) -> None:
        """`expression` is `rate(...)`, `cron(...)` or, once, `at(yyyy-mm-ddThh:mm:ss)` in UTC."""
        super().__init__(scope, construct_id)
        group = scheduler.CfnScheduleGroup(self, "Group")
        group.apply_removal_policy(cdk.RemovalPolicy.DESTROY)
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal(
                "scheduler.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": cdk.Stack.of(self).account, "aws:SourceArn": group.attr_arn}
                },
            ),
        )
        role.add_to_policy(iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[function.function_arn]))
        role.add_to_policy(iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[dead_letters.queue_arn]))
        self.schedule = scheduler.CfnSchedule(
            self,
            "Schedule",
            description=description,
            group_name=group.ref,
            schedule_expression=expression,
            schedule_expression_timezone="UTC",
            state="ENABLED" if enabled else "DISABLED",
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(
                arn=function.function_arn,
                role_arn=role.role_arn,
                dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(arn=dead_letters.queue_arn),
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_event_age_in_seconds=3600, maximum_retry_attempts=3
                ),
            ),
        )
        self.schedule.node.add_dependency(role)
