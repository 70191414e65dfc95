"""What tests share about AWS: what a platform tells its processes, and an alarm to ring."""

from __future__ import annotations

from typing import Any


def aws_environment(url: str, region: str = "us-east-1") -> dict[str, str]:
    """Environment of a process whose AWS is the emulator, or a fake, at `url`."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "NO_PROXY": "127.0.0.1",
    }


def put_alarm(cloudwatch: Any, name: str) -> None:
    """An alarm on a metric that nobody publishes: its state is what a test sets."""
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="Test",
        MetricName="Errors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
