"""Scaling of inference components, to zero when idle and up at the first request, and of instances, never to zero."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.constructs.llm.metrics import VARIANT
from infra.names import COPIES_DIMENSION
from infra.settings.llm import LlmSettings

INSTANCES = "sagemaker:variant:DesiredInstanceCount"
SCALE_OUT_SECONDS = 60


class LlmScaling(Construct):
    """Scales the copies of an inference component between 0 and `max_copies`.

    Target tracking cannot leave zero, because a component without copies has no load to measure. The alarm on
    `NoCapacityInvocationFailures` goes off at the first refused request and starts the first copy.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        component: sagemaker.CfnInferenceComponent,
        name: str,
        settings: LlmSettings,
    ) -> None:
        super().__init__(scope, construct_id)
        policy = scaling.CfnScalingPolicy
        self.target = _target_tracking(
            self,
            "Copies",
            of=component,
            name=name,
            settings=settings,
            resource_id=f"inference-component/{name}",
            dimension=COPIES_DIMENSION,
            bounds=(0, settings.max_copies),
            metric="SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution",
        )
        wake = scaling.CfnScalingPolicy(
            self,
            "Wake",
            policy_name=f"{name}-wake",
            policy_type="StepScaling",
            scaling_target_id=self.target.ref,
            step_scaling_policy_configuration=policy.StepScalingPolicyConfigurationProperty(
                adjustment_type="ExactCapacity",
                metric_aggregation_type="Maximum",
                cooldown=60,
                step_adjustments=[policy.StepAdjustmentProperty(metric_interval_lower_bound=0, scaling_adjustment=1)],
            ),
        )
        cloudwatch.CfnAlarm(
            self,
            "Asleep",
            alarm_description="A request found no copy of the model: start the first one.",
            namespace="AWS/SageMaker",
            metric_name="NoCapacityInvocationFailures",
            dimensions=[cloudwatch.CfnAlarm.DimensionProperty(name="InferenceComponentName", value=name)],
            statistic="Maximum",
            # SageMaker publishes invocation metrics once a minute; a shorter period would cost three times as much and
            # wake no sooner: https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
            period=60,
            evaluation_periods=1,
            datapoints_to_alarm=1,
            threshold=1,
            comparison_operator="GreaterThanOrEqualToThreshold",
            treat_missing_data="notBreaching",
            alarm_actions=[wake.ref],
        )


class InstanceScaling(Construct):
    """Scales a real-time endpoint between 1 and `max_instances` instances of one copy each."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        endpoint: sagemaker.CfnEndpoint,
        name: str,
        settings: LlmSettings,
    ) -> None:
        super().__init__(scope, construct_id)
        _target_tracking(
            self,
            "Instances",
            of=endpoint,
            name=name,
            settings=settings,
            resource_id=f"endpoint/{name}/variant/{VARIANT}",
            dimension=INSTANCES,
            bounds=(1, settings.max_instances),
            metric="SageMakerVariantConcurrentRequestsPerModelHighResolution",
        )


def _target_tracking(
    scope: Construct,
    construct_id: str,
    *,
    of: cdk.CfnResource,
    name: str,
    settings: LlmSettings,
    resource_id: str,
    dimension: str,
    bounds: tuple[int, int],
    metric: str,
) -> scaling.CfnScalableTarget:
    """Target tracking on concurrent requests, by one of SageMaker's metrics of ten seconds."""
    least, most = bounds
    target = scaling.CfnScalableTarget(
        scope,
        construct_id,
        service_namespace="sagemaker",
        resource_id=resource_id,
        scalable_dimension=dimension,
        min_capacity=least,
        max_capacity=most,
    )
    target.add_resource_dependency(of)
    policy = scaling.CfnScalingPolicy
    policy(
        scope,
        "Load",
        policy_name=f"{name}-load",
        policy_type="TargetTrackingScaling",
        scaling_target_id=target.ref,
        target_tracking_scaling_policy_configuration=policy.TargetTrackingScalingPolicyConfigurationProperty(
            target_value=settings.concurrency_per_copy,
            predefined_metric_specification=policy.PredefinedMetricSpecificationProperty(predefined_metric_type=metric),
            scale_in_cooldown=settings.scale_in_cooldown_seconds,
            scale_out_cooldown=SCALE_OUT_SECONDS,
        ),
    )
    return target
