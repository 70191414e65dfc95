"""Scaling of the RAG service: on CPU and requests both ways, on the time to the first token outwards."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from constructs import Construct

from infra.settings.rag import RagSettings

MINUTE = cdk.Duration.minutes(1)
SLOW_MINUTES = 3


class ServiceScaling(Construct):
    """Scales the tasks between `min_tasks` and `max_tasks`.

    Load is tracked; slow first tokens add one task every five minutes at most and never take one away. A policy that
    tracked them would ask for tasks in proportion, and would keep every other policy from scaling in without traffic.

    More tasks do not wake a model. Minutes in which requests are held for it count as fast, one slow minute is not
    enough, and a missing metric is no alarm: a wake-up that never ends costs one task per five minutes, up to
    `max_tasks`.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: RagSettings,
        service: ecs.FargateService,
        targets: elbv2.ApplicationTargetGroup,
        namespace: str,
        stage: str,
    ) -> None:
        super().__init__(scope, construct_id)
        tasks = service.auto_scale_task_count(min_capacity=settings.min_tasks, max_capacity=settings.max_tasks)
        tasks.scale_on_cpu_utilization(
            "Cpu",
            target_utilization_percent=settings.cpu_target_percent,
            scale_in_cooldown=cdk.Duration.minutes(5),
            scale_out_cooldown=MINUTE,
        )
        tasks.scale_on_request_count(
            "Requests",
            requests_per_target=settings.requests_per_task,
            target_group=targets,
            scale_in_cooldown=cdk.Duration.minutes(5),
            scale_out_cooldown=MINUTE,
        )
        policy = scaling.CfnScalingPolicy
        self.step = policy(
            self,
            "SlowFirstTokens",
            policy_name=f"{cdk.Names.unique_resource_name(self, max_length=200)}-slow",
            policy_type="StepScaling",
            service_namespace="ecs",
            scalable_dimension="ecs:service:DesiredCount",
            resource_id=f"service/{service.cluster.cluster_name}/{service.service_name}",
            step_scaling_policy_configuration=policy.StepScalingPolicyConfigurationProperty(
                adjustment_type="ChangeInCapacity",
                metric_aggregation_type="Average",
                cooldown=300,
                step_adjustments=[policy.StepAdjustmentProperty(metric_interval_lower_bound=0, scaling_adjustment=1)],
            ),
        )
        self.step.node.add_dependency(tasks)
        self._alarm(settings, namespace, stage)

    def _alarm(self, settings: RagSettings, namespace: str, stage: str) -> None:
        alarm = cloudwatch.CfnAlarm

        def metric(metric_id: str, name: str, statistic: str) -> cloudwatch.CfnAlarm.MetricDataQueryProperty:
            # Names and dimension: services/rag/telemetry/emf.py.
            dimensions = [alarm.DimensionProperty(name="Stage", value=stage)]
            found = alarm.MetricProperty(namespace=namespace, metric_name=name, dimensions=dimensions)
            stat = alarm.MetricStatProperty(metric=found, period=60, stat=statistic)
            return alarm.MetricDataQueryProperty(id=metric_id, metric_stat=stat, return_data=False)

        self.alarm = alarm(
            self,
            "FirstTokens",
            alarm_description="The slowest tenth of answers begins late: add a task.",
            metrics=[
                alarm.MetricDataQueryProperty(id="late", expression="IF(held > 0, 0, ttft)", return_data=True),
                metric("held", "HeldRequests", "Maximum"),
                metric("ttft", "TimeToFirstToken", "p90"),
            ],
            threshold=settings.ttft_p90_seconds * 1000,
            comparison_operator="GreaterThanThreshold",
            evaluation_periods=SLOW_MINUTES,
            datapoints_to_alarm=SLOW_MINUTES,
            treat_missing_data="notBreaching",
            alarm_actions=[self.step.ref],
        )
