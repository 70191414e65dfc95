"""AWS in tests: environment of a process, and an alarm."""

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
    """Create an alarm on a metric without data points: a test sets its state."""
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
