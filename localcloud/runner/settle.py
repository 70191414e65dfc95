"""Report of what the runner's containers do to the control planes of ECS and SageMaker in the emulator.

Both take it through their private operation `LocalcloudSettle`, which decides whether a deployment is complete or has
failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.runner.aws import Aws

TARGET_PREFIXES = {"sagemaker": "SageMaker", "ecs": "AmazonEC2ContainerServiceV20141113"}


def settle(aws: Aws, service: str, report: Mapping[str, Any]) -> None:
    """Send a report.

    Args:
        aws: clients of the emulator.
        service: `ecs` or `sagemaker`.
        report: fields as the service's `LocalcloudSettle` describes them.

    Raises:
        httpx.HTTPError: the emulator does not answer, or answers with a server's error.
    """
    answer = aws.post(service, f"{TARGET_PREFIXES[service]}.LocalcloudSettle", report)
    # A report that is refused is about what was deleted meanwhile: the next tick reads what there is.
    if answer.is_server_error:
        answer.raise_for_status()
