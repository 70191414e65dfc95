"""CloudWatch metrics that SageMaker publishes about the LLM endpoint.

Namespaces, names, dimensions and statistics: "Amazon SageMaker AI metrics in Amazon CloudWatch",
https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html. The metrics `*Normalized` exist only where
an endpoint hosts active inference components; a test compares every alarm and graph with
`localcloud/emulator/rules/published_metrics.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch

from infra.constructs.monitoring.metrics import Line
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
        accelerators: GPUs of one copy.
    """

    endpoint_name: str
    component_name: str | None
    accelerators: int = 1

    @classmethod
    def of(cls, settings: DeploymentSettings) -> LlmMetrics:
        """The metrics of a stage's endpoint."""
        return cls(Names.of(settings).endpoint, served_component(settings), settings.llm.accelerators)

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

    def gpus(self, name: str, statistic: str, label: str | None = None) -> Line:
        """`GPUMemoryUtilization` or `GPUUtilization` of the GPUs of a copy, in percent of all of them.

        A component reports this number; an instance the sum over its GPUs, of which the model uses `accelerators`.
        """
        if self.component_name is not None:
            return self._component(f"{name}Normalized", statistic, label)
        whole = self.instance(name, statistic, label)
        if self.accelerators == 1:
            return whole
        # Ids of metrics begin with a small letter and are one per graph.
        each = f"all{name}"
        return cloudwatch.MathExpression(
            expression=f"{each} / {self.accelerators}", using_metrics={each: whole}, label=label, period=MINUTE
        )

    def _component(self, name: str, statistic: str, label: str | None = None) -> cloudwatch.Metric:
        """Metric that each copy of a component reports once a minute."""
        return cloudwatch.Metric(
            namespace="/aws/sagemaker/InferenceComponents",
            metric_name=name,
            dimensions_map=self._model,
            statistic=statistic,
            label=label,
            period=MINUTE,
        )

    def instance(
        self, name: str, statistic: str, label: str | None = None, period: cdk.Duration = MINUTE
    ) -> cloudwatch.Metric:
        """Metric that each instance of the endpoint reports once a minute: percent, of one processor or GPU each."""
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
        if self.component_name is None:
            return self.instance_minutes("Copies")
        return self._component("CPUUtilizationNormalized", "SampleCount", "Copies")

    def instance_minutes(self, label: str | None = None, period: cdk.Duration = MINUTE) -> cloudwatch.Metric:
        """Minutes that instances ran in a period, copies or not; with a period of a minute, how many there are."""
        return self.instance("CPUUtilization", "SampleCount", label, period)
