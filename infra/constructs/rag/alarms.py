"""Alarms on the RAG service's tasks; a release that sets one off is rolled back."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.constructs.monitoring.alarms import Alarms
from infra.constructs.monitoring.metrics import StageMetrics
from infra.constructs.rag.fargate_api import FargateApi

MINUTE = cdk.Duration.minutes(1)


class ApiAlarms(Alarms):
    """Alarms on the tasks behind a load balancer, which deployments of the service watch."""

    def __init__(
        self, scope: Construct, construct_id: str, *, topic: sns.ITopic, api: FargateApi, service: StageMetrics
    ) -> None:
        super().__init__(scope, construct_id, topic=topic)
        watched = [
            self._above_zero(
                "UnhealthyTasks",
                api.targets.metrics.unhealthy_host_count(period=MINUTE, statistic="Maximum"),
                "Tasks of the RAG service fail their health check.",
            ),
            self._above_zero(
                "ServerErrors",
                # The service's own count: to a load balancer a stream that ends in an error is a 200.
                service.of("ServerErrors", "Sum", period=MINUTE),
                "The RAG service answers with server errors.",
            ),
        ]
        # The circuit breaker sees only tasks that do not start; these see tasks that start and then fail.
        api.service.enable_deployment_alarms(
            [alarm.alarm_name for alarm in watched], behavior=ecs.AlarmBehavior.ROLLBACK_ON_ALARM
        )

    def _above_zero(self, construct_id: str, metric: cloudwatch.IMetric, what: str) -> cloudwatch.Alarm:
        """Alarm when a count stays above zero for three periods."""
        return self.alarm(construct_id, metric, what, "unhealthy-service", periods=3)
