"""Roll-out of a changed model: step by step, watched by alarms, rolled back when one goes off.

A component of one copy is updated by starting the new copy beside the old one: SageMaker provisions the new capacity
first, moves the traffic, and ends the old copy. That takes room for one copy more, which managed scaling finds on the
same instance or starts, when `max_instances` and the account's quota allow it. Without room the update fails after its
time limit, and the old copy keeps answering. A sleeping component has no copy to roll: it wakes with the new model.

Limits: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_InferenceComponentRollingUpdatePolicy.html
"""

from __future__ import annotations

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.constructs.llm.metrics import LlmMetrics
from infra.settings.llm import LlmSettings

LARGEST_BATCH_PERCENT = 50
"""SageMaker's upper bound; of one copy it is that copy."""
SHORTEST_SECONDS = 600
ERRORS = {
    "ModelErrors": ("InvocationModelErrors", "Requests that the model's container refused, aborted or answered late"),
    "ServerErrors": ("Invocation5XXErrors", "Requests that ended in a server error"),
    # A failure after the first token of a streamed answer is in neither of the others:
    # https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
    "BrokenAnswers": ("MidStreamErrors", "Answers that broke off"),
}


class LlmRollout(Construct):
    """The alarms that guard an update, and the deployment configuration of either kind of endpoint."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: LlmSettings, metrics: LlmMetrics) -> None:
        super().__init__(scope, construct_id)
        self._settings = settings
        self.alarms = [] if settings.rollback_errors is None else self._alarms(settings.rollback_errors, metrics)

    def _alarms(self, errors: int, metrics: LlmMetrics) -> list[cloudwatch.Alarm]:
        return [
            cloudwatch.Alarm(
                self,
                name,
                alarm_description=f"{what}; an update of the model in progress is rolled back.",
                metric=metrics.invocation(metric, "Sum"),
                threshold=errors,
                evaluation_periods=1,
                comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            )
            for name, (metric, what) in ERRORS.items()
        ]

    @property
    def seconds(self) -> int:
        """Time limit of an update: start and watch time of every batch; a rollback comes on top.

        The number of copies is not in it: changing that alone must not touch the component. The bounds of the settings
        keep it below SageMaker's eight hours.
        """
        batch = self._settings.startup_timeout_seconds + self._settings.bake_seconds
        batches = 100 // LARGEST_BATCH_PERCENT
        return max(SHORTEST_SECONDS, batches * batch)

    def of_component(self) -> sagemaker.CfnInferenceComponent.InferenceComponentDeploymentConfigProperty:
        """Half of the copies at a time."""
        props = sagemaker.CfnInferenceComponent
        return props.InferenceComponentDeploymentConfigProperty(
            rolling_update_policy=props.InferenceComponentRollingUpdatePolicyProperty(
                maximum_batch_size=props.InferenceComponentCapacitySizeProperty(
                    type="CAPACITY_PERCENT", value=LARGEST_BATCH_PERCENT
                ),
                wait_interval_in_seconds=self._settings.bake_seconds,
                maximum_execution_timeout_in_seconds=self.seconds,
            ),
            auto_rollback_configuration=props.AutoRollbackConfigurationProperty(
                alarms=[props.AlarmProperty(alarm_name=alarm.alarm_name) for alarm in self.alarms]
            )
            if self.alarms
            else None,
        )

    def of_endpoint(self) -> sagemaker.CfnEndpoint.DeploymentConfigProperty:
        """A second fleet beside the first, then all traffic at once; the first stays until the watch is over.

        A rolling update may replace at most half of the instances, which is impossible with one.
        """
        props = sagemaker.CfnEndpoint
        return props.DeploymentConfigProperty(
            blue_green_update_policy=props.BlueGreenUpdatePolicyProperty(
                traffic_routing_configuration=props.TrafficRoutingConfigProperty(
                    type="ALL_AT_ONCE", wait_interval_in_seconds=self._settings.bake_seconds
                ),
                termination_wait_in_seconds=self._settings.bake_seconds,
                maximum_execution_timeout_in_seconds=self.seconds,
            ),
            auto_rollback_configuration=props.AutoRollbackConfigProperty(
                alarms=[props.AlarmProperty(alarm_name=alarm.alarm_name) for alarm in self.alarms]
            )
            if self.alarms
            else None,
        )
