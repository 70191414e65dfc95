"""Metrics that SageMaker publishes, by what an endpoint hosts.

CloudWatch takes an alarm or graph over a metric that does not exist, and the alarm never goes off. So no call is
refused here: a test compares the alarms and graphs of the templates with this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["inference-component", "real-time"]
COMPONENT: Kind = "inference-component"
REAL_TIME: Kind = "real-time"
BOTH = (COMPONENT, REAL_TIME)
OF_COMPONENT, OF_VARIANT = ("InferenceComponentName",), ("EndpointName", "VariantName")
GUIDE = "https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html"
SEEN_LIVE = "cloud-custodian/cloud-custodian, c7n/data/sagemaker_metrics.yaml @ c0fb855"
INVOCATIONS = (
    "Invocations",
    "Invocation4XXErrors",
    "Invocation5XXErrors",
    "InvocationModelErrors",
    "MidStreamErrors",
    "ModelLatency",
)
"""All but the first are published once a request had that outcome."""


@dataclass(frozen=True)
class Published:
    """Metrics of one namespace under one set of dimensions.

    Attributes:
        names: of the metrics.
        dimensions: names of the dimensions, all of them.
        hosts: what an endpoint must host for them: components, or a model in its variant (real-time).
        source: who says so.
    """

    namespace: str
    names: tuple[str, ...]
    dimensions: tuple[str, ...]
    hosts: tuple[Kind, ...]
    source: str


PUBLISHED = (
    Published("AWS/SageMaker", INVOCATIONS, OF_COMPONENT, (COMPONENT,), SEEN_LIVE),
    Published("AWS/SageMaker", INVOCATIONS, OF_VARIANT, (REAL_TIME,), GUIDE),
    Published(
        "AWS/SageMaker",
        ("NoCapacityInvocationFailures",),
        OF_COMPONENT,
        (COMPONENT,),
        "https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-zero-instances.html",
    ),
    Published(
        "/aws/sagemaker/Endpoints",
        ("CPUUtilization", "MemoryUtilization", "DiskUtilization", "GPUUtilization", "GPUMemoryUtilization"),
        OF_VARIANT,
        BOTH,
        GUIDE,
    ),
    Published(
        "/aws/sagemaker/Endpoints",
        ("CPUUtilizationNormalized", "GPUUtilizationNormalized", "GPUMemoryUtilizationNormalized"),
        OF_VARIANT,
        (COMPONENT,),
        GUIDE,
    ),
    Published(
        "/aws/sagemaker/InferenceComponents",
        ("CPUUtilizationNormalized", "GPUUtilizationNormalized", "GPUMemoryUtilizationNormalized"),
        OF_COMPONENT,
        (COMPONENT,),
        GUIDE,
    ),
)

OPENTELEMETRY = frozenset(
    {
        "ColdStartDuration",
        "ContainerStartDuration",
        "E2EScalingLatency",
        "GPULoadTime",
        "ICECount",
        "ModelDownloadTime",
        "ScalingAction",
    }
)
"""Events of starting and scaling that an endpoint with detailed observability sends by OpenTelemetry: to be queried by
PromQL, and not among CloudWatch's metrics with namespace and dimensions, so that no graph or alarm above finds them.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/SageMaker-AI-Insights-Metrics.html, read 2026-11-29."""
OPENTELEMETRY_LABELS = frozenset(
    {
        "aws.sagemaker.endpoint.name",
        "aws.sagemaker.inference_component.name",
        "aws.sagemaker.variant.name",
        "@resource.host.id",
        "@resource.host.type",
        "@resource.cloud.availability_zone",
    }
)
"""https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-detailed-observability-promql.html"""


def is_published(kind: str, namespace: str, name: str, dimensions: frozenset[str]) -> bool:
    """Whether SageMaker publishes a metric under exactly these dimensions for an endpoint of this kind."""
    return any(
        kind in each.hosts
        and namespace == each.namespace
        and name in each.names
        and dimensions == frozenset(each.dimensions)
        for each in PUBLISHED
    )
