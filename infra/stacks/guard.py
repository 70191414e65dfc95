"""Guard stack: parks the model and later deletes its stack at the end of its time, and watches the monthly budget."""

from __future__ import annotations

from datetime import datetime

import aws_cdk as cdk
from constructs import Construct

from infra.constructs.functions.schedule import FunctionSchedule
from infra.constructs.functions.service_function import DependencyLayer, ServiceFunction
from infra.constructs.guard.budget import MonthlyBudget
from infra.constructs.guard.kill_switch import KillSwitch
from infra.constructs.guard.model_stop import allow_stop, stop_variables
from infra.constructs.monitoring.alarms import Alarms, AlertsTopic
from infra.names import Names
from infra.settings.deployment import DeploymentSettings

DELETION_TIMEOUT = cdk.Duration.minutes(15)
"""Lambda's maximum: the function waits until the stack is gone, so that a failed deletion is reported."""


class GuardStack(cdk.Stack):
    """One-shot schedules, the function that parks the stage's model and deletes its stack, and a monthly budget."""

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
        layers = [DependencyLayer(self, "Dependencies", settings=settings.evaluation).layer]
        expire = ServiceFunction(
            self,
            "Expire",
            handler="services.guard.handlers.expire",
            description="Parks the model, and deletes the LLM stack, at the end of their time",
            settings=settings.evaluation,
            environment=stop_variables(settings),
            timeout=DELETION_TIMEOUT,
            log_retention_days=settings.monitoring.log_retention_days,
            layers=layers,
        )
        allow_stop(expire.role, settings)
        alarms = Alarms(self, "Alarms", topic=alerts.topic)
        what = "The parking or deletion of an expired stage's model"
        alarms.service("Expiry", expire, what, what)
        usd = settings.guard.monthly_budget_usd
        if usd is not None and settings.guard.kill_switch:
            switch = KillSwitch(
                self,
                "KillSwitch",
                settings=settings,
                usd=usd,
                alerts=alerts,
                timeout=DELETION_TIMEOUT,
                layers=layers,
            )
            what = "The stop of the model over a spent budget"
            alarms.service("Spending", switch.stop, what, what)
            cdk.CfnOutput(self, "KillSwitchTopicArn", value=switch.topic.topic_arn)
        elif usd is not None:
            MonthlyBudget(self, "Month", settings=settings, usd=usd, topic=alerts.topic)
        if settings.guard.enabled:
            self._end_time(expire, settings, now)
        cdk.CfnOutput(self, "ExpireFunctionName", value=expire.function.function_name)

    def _end_time(self, expire: ServiceFunction, settings: DeploymentSettings, now: datetime) -> None:
        """Schedule parking, where the model can be parked, and deletion, after everything else in this stack.

        A time in the past is refused: https://github.com/DefangLabs/pulumi-defang/pull/425. Were another resource to
        fail after a schedule, CloudFormation would put the time of an earlier deployment back, which has passed. The
        nearer time, which is the likelier one to be refused, comes first.
        """
        stack = Names.of(settings).stack("llm")
        parks, deletes = settings.expires_at(now), settings.deletes_at(now)
        if parks < deletes:
            self._once("Parking", expire, parks, "park", f"Parks the model of {stack}")
        self._once("EndOfLife", expire, deletes, "delete", f"Deletes {stack}")

    def _once(self, construct_id: str, expire: ServiceFunction, moment: datetime, action: str, what: str) -> None:
        others = list(self.node.children)
        last = FunctionSchedule(
            self,
            construct_id,
            expression=f"at({moment:%Y-%m-%dT%H:%M:%S})",
            description=what,
            service=expire,
            payload={"action": action},
        )
        last.schedule.node.add_dependency(*others)
