"""Guard stack: takes the expensive part away when its time is up, and tells people what the month costs."""

from __future__ import annotations

from datetime import datetime

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.constructs.acknowledge import acknowledge, readable
from infra.constructs.alarms import Alarms
from infra.constructs.budget import MonthlyBudget
from infra.constructs.evaluation_function import DependencyLayer, ServiceFunction
from infra.constructs.schedule import FunctionSchedule
from infra.names import Names
from infra.settings import DeploymentSettings

EXPIRE_TIMEOUT = cdk.Duration.minutes(15)
"""Lambda's longest: the function waits until the stack is gone, so that a failed deletion is seen."""


class GuardStack(cdk.Stack):
    """A one-shot schedule, the function that deletes the stage's LLM stack, and a monthly budget."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: DeploymentSettings,
        env: cdk.Environment,
        alerts: sns.ITopic,
        now: datetime,
    ) -> None:
        super().__init__(scope, construct_id, env=env, description="LLM twin: guard of the purse")
        doomed = Names.of(settings).stack("llm")
        expire = ServiceFunction(
            self,
            "Expire",
            handler="expire",
            description="Deletes the LLM stack at the end of its life",
            settings=settings.evaluation,
            environment={"STAGE": settings.stage, "STACK_NAMES": doomed},
            timeout=EXPIRE_TIMEOUT,
            log_retention_days=settings.monitoring.log_retention_days,
            layers=[DependencyLayer(self, "Dependencies", settings=settings.evaluation).layer],
        )
        stack_arn = self.format_arn(service="cloudformation", resource="stack", resource_name=f"{doomed}/*")
        # CloudFormation deletes with the role that the stack was deployed with, so that nothing but the call is needed.
        expire.role.add_to_policy(
            iam.PolicyStatement(
                sid="DeleteTheLlmStack",
                actions=["cloudformation:DeleteStack", "cloudformation:DescribeStacks"],
                resources=[stack_arn],
            )
        )
        acknowledge(
            expire.role,
            f"AwsSolutions-IAM5[Resource::{readable(self, stack_arn)}]",
            "A stack's ARN ends in an id that CloudFormation draws; the name before it is exact.",
        )
        assert expire.dead_letters is not None  # noqa: S101 - asynchronous functions have one
        FunctionSchedule(
            self,
            "EndOfLife",
            expression=f"at({settings.expires_at(now):%Y-%m-%dT%H:%M:%S})",
            description=f"Deletes {doomed}",
            function=expire.function,
            dead_letters=expire.dead_letters,
            enabled=settings.guard.enabled,
        )
        alarms = Alarms(self, "Alarms", topic=alerts)
        alarms.dead_letters("ExpiryLost", expire.dead_letters, "The deletion of an expired stack")
        alarms.function_errors("ExpiryErrors", expire.function, "The deletion of an expired stack")
        if settings.guard.monthly_budget_usd is not None:
            MonthlyBudget(self, "Month", settings=settings, usd=settings.guard.monthly_budget_usd, topic=alerts)
        cdk.CfnOutput(self, "ExpireFunctionName", value=expire.function.function_name)
