"""Guard stack: deletes the LLM stack at the end of its life, and watches the monthly budget."""

from __future__ import annotations

from datetime import datetime

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.constructs.functions.schedule import FunctionSchedule
from infra.constructs.functions.service_function import DependencyLayer, ServiceFunction
from infra.constructs.guard.budget import MonthlyBudget
from infra.constructs.guard.kill_switch import KillSwitch
from infra.constructs.monitoring.alarms import Alarms, AlertsTopic
from infra.constructs.shared.acknowledge import acknowledge, readable
from infra.names import Names
from infra.settings.deployment import DeploymentSettings

DELETION_TIMEOUT = cdk.Duration.minutes(15)
"""Lambda's maximum: the function waits until the stack is gone, so that a failed deletion is reported."""


class GuardStack(cdk.Stack):
    """A one-shot schedule, the function that deletes the stage's LLM stack, and a monthly budget."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: DeploymentSettings,
        env: cdk.Environment,
        alerts: AlertsTopic,
        now: datetime,
    ) -> None:
        super().__init__(scope, construct_id, env=env, description="LLM twin: cost limits")
        llm_stack_name = Names.of(settings).stack("llm")
        layers = [DependencyLayer(self, "Dependencies", settings=settings.evaluation).layer]
        expire = ServiceFunction(
            self,
            "Expire",
            handler="services.guard.handlers.expire",
            description="Deletes the LLM stack at the end of its life",
            settings=settings.evaluation,
            environment={"STAGE": settings.stage, "STACK_NAMES": llm_stack_name},
            timeout=DELETION_TIMEOUT,
            log_retention_days=settings.monitoring.log_retention_days,
            layers=layers,
        )
        self._allow_deletion(expire.role, llm_stack_name)
        alarms = Alarms(self, "Alarms", topic=alerts.topic)
        what = "The deletion of an expired stack"
        alarms.service("Expiry", expire, what, what)
        usd = settings.guard.monthly_budget_usd
        if usd is not None and settings.guard.kill_switch:
            switch = KillSwitch(
                self,
                "KillSwitch",
                settings=settings,
                usd=usd,
                alerts=alerts,
                stacks=llm_stack_name,
                timeout=DELETION_TIMEOUT,
                layers=layers,
            )
            self._allow_deletion(switch.stop.role, llm_stack_name)
            what = "The deletion of the LLM stack over a spent budget"
            alarms.service("Spending", switch.stop, what, what)
            cdk.CfnOutput(self, "KillSwitchTopicArn", value=switch.topic.topic_arn)
        elif usd is not None:
            MonthlyBudget(self, "Month", settings=settings, usd=usd, topic=alerts.topic)
        if settings.guard.enabled:
            self._end_life(expire, settings.expires_at(now), llm_stack_name)
        cdk.CfnOutput(self, "ExpireFunctionName", value=expire.function.function_name)

    def _end_life(self, expire: ServiceFunction, end: datetime, stack: str) -> None:
        """Schedule the deletion, after everything else in this stack.

        A time in the past is refused: https://github.com/DefangLabs/pulumi-defang/pull/425. Were another resource to
        fail after the schedule, CloudFormation would put the time of an earlier deployment back, which has passed.
        """
        others = list(self.node.children)
        last = FunctionSchedule(
            self,
            "EndOfLife",
            expression=f"at({end:%Y-%m-%dT%H:%M:%S})",
            description=f"Deletes {stack}",
            service=expire,
        )
        last.schedule.node.add_dependency(*others)

    def _allow_deletion(self, role: iam.Role, stack: str) -> None:
        """Allow deleting one stack; CloudFormation does it with the role that the stack was deployed with."""
        stack_arn = self.format_arn(service="cloudformation", resource="stack", resource_name=f"{stack}/*")
        role.add_to_policy(
            iam.PolicyStatement(
                sid="DeleteTheLlmStack",
                actions=["cloudformation:DeleteStack", "cloudformation:DescribeStacks"],
                resources=[stack_arn],
            )
        )
        acknowledge(
            role,
            f"AwsSolutions-IAM5[Resource::{readable(self, stack_arn)}]",
            "A stack's ARN ends in an id that CloudFormation generates; the name before it is exact.",
        )
