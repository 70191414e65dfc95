"""CloudWatch metrics that SageMaker publishes about the LLM endpoint.

Namespaces, names, dimensions and statistics: "Amazon SageMaker AI metrics in Amazon CloudWatch",
https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
"""

from __future__ import annotations

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch

from infra.names import Names, served_component
from infra.settings.deployment import DeploymentSettings

VARIANT = "AllTraffic"
MINUTE = cdk.Duration.minutes(1)
"""Interval at which SageMaker publishes."""


@dataclass(frozen=True)
class LlmMetrics:
    """Metrics of one endpoint and of the inference component on it, by name: both may be declared in another stack.

    Attributes:
        component_name: None for an endpoint that holds the model itself; its copies are then its instances.
    """

    endpoint_name: str
    component_name: str | None

    @classmethod
    def of(cls, settings: DeploymentSettings) -> LlmMetrics:
        """The metrics of a stage's endpoint."""
        return cls(Names.of(settings).endpoint, served_component(settings))

    @property
    def _variant(self) -> dict[str, str]:
        return {"EndpointName": self.endpoint_name, "VariantName": VARIANT}

    @property
    def _model(self) -> dict[str, str]:
        return {"InferenceComponentName": self.component_name} if self.component_name else self._variant

    def invocation(
        self, name: str, statistic: str, label: str | None = None, period: cdk.Duration = MINUTE
    ) -> cloudwatch.Metric:
        """Metric of the requests to the model: `Invocations`, `ModelLatency` (microseconds), ..."""
        return cloudwatch.Metric(
            namespace="AWS/SageMaker",
            metric_name=name,
            dimensions_map=self._model,
            statistic=statistic,
            label=label,
            period=period,
        )

    def copy(
        self, name: str, statistic: str, label: str | None = None, period: cdk.Duration = MINUTE
    ) -> cloudwatch.Metric:
        """Metric that each copy of the model reports once a minute: use of what the copy reserved, in percent."""
        return cloudwatch.Metric(
            namespace=f"/aws/sagemaker/{'InferenceComponents' if self.component_name else 'Endpoints'}",
            metric_name=name,
            dimensions_map=self._model,
            statistic=statistic,
            label=label,
            period=period,
        )

    def instance(
        self, name: str, statistic: str, label: str | None = None, period: cdk.Duration = MINUTE
    ) -> cloudwatch.Metric:
        """Metric that each instance of the endpoint reports once a minute, in percent."""
        return cloudwatch.Metric(
            namespace="/aws/sagemaker/Endpoints",
            metric_name=name,
            dimensions_map=self._variant,
            statistic=statistic,
            label=label,
            period=period,
        )

    def copies(self) -> cloudwatch.Metric:
        """Number of running copies: each reports once a minute."""
        return self.copy("CPUUtilizationNormalized", "SampleCount", "Copies")

    def instance_minutes(self, label: str | None = None, period: cdk.Duration = MINUTE) -> cloudwatch.Metric:
        """Minutes that instances ran in a period; with a period of a minute, how many there are."""
        return self.instance("CPUUtilizationNormalized", "SampleCount", label, period)
