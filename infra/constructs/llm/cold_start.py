"""What explains a slow start of the model: queries in PromQL, for people.

With detailed observability SageMaker sends the phases of a start to CloudWatch by OpenTelemetry. They have no namespace
and no dimensions, so no graph, alarm or `list-metrics` finds them: CloudWatch's Query Studio and its Prometheus address
(https://monitoring.<region>.amazonaws.com, SigV4) do. Names: the SageMaker AI Insights metrics reference,
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/SageMaker-AI-Insights-Metrics.html. Labels:
https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-detailed-observability-promql.html; their quotation marks as
in the AWS Machine Learning Blog, "Monitor and debug generative AI inference with SageMaker detailed metrics".
A test compares the names with `localcloud/emulator/rules/published_metrics.py`.

There is no alarm on them: the reference does not say how often an event is sent, nor whether ICECount counts on.
"""

from __future__ import annotations

PHASES = (
    ("E2EScalingLatency", "from the decision to scale until the new instance serves; less the rest: waiting for it"),
    ("ICECount", "machines that AWS did not have; set `fallback_instance_types`"),
    ("ContainerStartDuration", "from the container's start to its first healthy answer"),
    ("ModelDownloadTime", 'weights from S3; of the hub: none, the container loads them; try `weights = "s3"`'),
    ("GPULoadTime", "weights into the GPU's memory"),
    ("ColdStartDuration", "all of it, from the creation of a copy to its first answer"),
)
"""Metric, and what it measures or what to do about it."""
ENDPOINT_LABEL = "aws.sagemaker.endpoint.name"


def query(metric: str, endpoint_name: str) -> str:
    """The query for a metric of one endpoint."""
    return f'{metric}{{"{ENDPOINT_LABEL}"="{endpoint_name}"}}'


def explanation(endpoint_name: str) -> str:
    """Markdown for the dashboard: each phase with its query."""
    rows = "".join(f"| `{query(metric, endpoint_name)}` | {meaning} |\n" for metric, meaning in PHASES)
    return (
        "**Why did it start slowly?** In CloudWatch's Query Studio, language PromQL (SageMaker sends these by "
        f"OpenTelemetry, where no graph finds them):\n\n| query | what it is |\n|---|---|\n{rows}"
    )
