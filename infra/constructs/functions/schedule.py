"""EventBridge schedules that call a function: repeatedly, or once at the end of a stack's life."""

from __future__ import annotations

import json
from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from infra.constructs.functions.service_function import ServiceFunction
from infra.constructs.shared.statements import calls


class FunctionSchedule(Construct):
    """A schedule in its own group, with a role that may call one function."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        expression: str,
        description: str,
        service: ServiceFunction,
        payload: Mapping[str, str] | None = None,
    ) -> None:
        """Declare the schedule.

        Args:
            scope: parent.
            construct_id: of this construct.
            expression: `rate(...)`, `cron(...)` or, once, `at(yyyy-mm-ddThh:mm:ss)` in UTC.
            description: what the call is for.
            service: what is called; a call that cannot be made goes to its dead-letter queue.
            payload: the event that the function gets; the Scheduler's own when there is none.

        Raises:
            ValueError: the function has no dead-letter queue.
        """
        if service.dead_letters is None:
            raise ValueError(f"{service.node.path} is scheduled but has no dead-letter queue for lost calls.")
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
        lost = service.dead_letters.queue_arn
        role.add_to_policy(calls(service.function))
        role.add_to_policy(iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[lost]))
        self.schedule = scheduler.CfnSchedule(
            self,
            "Schedule",
            description=description,
            group_name=group.ref,
            schedule_expression=expression,
            schedule_expression_timezone="UTC",
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(
                arn=service.function.function_arn,
                role_arn=role.role_arn,
                input=json.dumps(payload) if payload is not None else None,
                dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(arn=lost),
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_event_age_in_seconds=3600, maximum_retry_attempts=3
                ),
            ),
        )
        self.schedule.node.add_dependency(role)
