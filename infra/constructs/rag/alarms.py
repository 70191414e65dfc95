"""What callers of the service would notice; a release that sets one off is taken back."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.constructs.monitoring.alarms import Alarms
from infra.constructs.rag.fargate_api import FargateApi


class ApiAlarms(Alarms):
    """Alarms on the tasks behind a load balancer, which deployments of the service listen to."""

    def __init__(self, scope: Construct, construct_id: str, *, topic: sns.ITopic, api: FargateApi) -> None:
        super().__init__(scope, construct_id, topic=topic)
        minute = cdk.Duration.minutes(1)
        self.unhealthy(
            "UnhealthyTasks",
            api.targets.metrics.unhealthy_host_count(period=minute, statistic="Maximum"),
            "Tasks of the RAG service fail their health check.",
        )
        self.unhealthy(
            "ServerErrors",
            api.targets.metrics.http_code_target(elbv2.HttpCodeTarget.TARGET_5XX_COUNT, period=minute, statistic="Sum"),
            "The RAG service answers with server errors.",
        )
        # A release whose tasks start and then fail is taken back as well as one whose tasks do not start.
        api.service.enable_deployment_alarms(
            [alarm.alarm_name for alarm in self.raised], behavior=ecs.AlarmBehavior.ROLLBACK_ON_ALARM
        )
