"""Scaling of the inference component: to zero when idle, awake at the first request, more copies under load."""

from __future__ import annotations

from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.constructs.llm_endpoint import LlmEndpoint
from infra.settings_groups.llm import LlmSettings

DIMENSION = "sagemaker:inference-component:DesiredCopyCount"


class LlmScaling(Construct):
    """Scales the copies of an inference component between 0 and `max_copies`.

    Target tracking cannot leave zero, because a component without copies has no load to measure. The alarm on
    `NoCapacityInvocationFailures` sees the first refused request and starts the first copy.
    """

    def __init__(self, scope: Construct, construct_id: str, *, endpoint: LlmEndpoint, settings: LlmSettings) -> None:
        super().__init__(scope, construct_id)
        policy = scaling.CfnScalingPolicy
        self.target = scaling.CfnScalableTarget(
            self,
            "Copies",
            service_namespace="sagemaker",
            resource_id=f"inference-component/{endpoint.component_name}",
            scalable_dimension=DIMENSION,
            min_capacity=0,
            max_capacity=settings.max_copies,
        )
        self.target.add_resource_dependency(endpoint.component)
        self.tracking = scaling.CfnScalingPolicy(
            self,
            "Load",
            policy_name=f"{endpoint.component_name}-load",
            policy_type="TargetTrackingScaling",
            scaling_target_id=self.target.ref,
            target_tracking_scaling_policy_configuration=policy.TargetTrackingScalingPolicyConfigurationProperty(
                target_value=settings.concurrency_per_copy,
                predefined_metric_specification=policy.PredefinedMetricSpecificationProperty(
                    predefined_metric_type="SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution"
                ),
                scale_in_cooldown=settings.scale_in_cooldown_seconds,
                scale_out_cooldown=60,
            ),
        )
        self.wake = scaling.CfnScalingPolicy(
            self,
            "Wake",
            policy_name=f"{endpoint.component_name}-wake",
            policy_type="StepScaling",
            scaling_target_id=self.target.ref,
            step_scaling_policy_configuration=policy.StepScalingPolicyConfigurationProperty(
                adjustment_type="ExactCapacity",
                metric_aggregation_type="Maximum",
                cooldown=60,
                step_adjustments=[policy.StepAdjustmentProperty(metric_interval_lower_bound=0, scaling_adjustment=1)],
            ),
        )
        self.alarm = cloudwatch.CfnAlarm(
            self,
            "Asleep",
            alarm_description="A request found no copy of the model: start the first one.",
            namespace="AWS/SageMaker",
            metric_name="NoCapacityInvocationFailures",
            dimensions=[
                cloudwatch.CfnAlarm.DimensionProperty(name="InferenceComponentName", value=endpoint.component_name)
            ],
            statistic="Maximum",
            # A high-resolution metric: AWS's guide to scaling to zero evaluates it every 30 seconds as well.
            period=30,
            evaluation_periods=1,
            datapoints_to_alarm=1,
            threshold=1,
            comparison_operator="GreaterThanOrEqualToThreshold",
            treat_missing_data="notBreaching",
            alarm_actions=[self.wake.ref],
        )
