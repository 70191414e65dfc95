"""ARNs of what is named after a stage, and statements over them."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from infra.names import PROJECT, stage_prefix


class Arns:
    """ARNs in the account and region of a stack.

    Args:
        stack: whose account, region and partition they have.
    """

    def __init__(self, stack: cdk.Stack) -> None:
        self._stack = stack

    def stacks(self, stages: Sequence[str]) -> list[str]:
        """The stages' stacks."""
        return [self.of("cloudformation", "stack", f"{stage_prefix(stage)}-*/*") for stage in stages]

    def buckets(self, stages: Sequence[str]) -> list[str]:
        """The stages' buckets, without their objects."""
        return [f"arn:{self._stack.partition}:s3:::{stage_prefix(stage)}-*" for stage in stages]

    def topics(self, stage: str) -> str:
        """A stage's topics."""
        return self._stack.format_arn(service="sns", resource=f"{stage_prefix(stage)}-*")

    def repository(self, account: str, name: str) -> str:
        """An image repository of any account."""
        return self._stack.format_arn(service="ecr", resource="repository", resource_name=name, account=account)

    def snapshots(self) -> str:
        """ARN of every snapshot, which has no account."""
        return self._stack.format_arn(service="ec2", resource="snapshot", resource_name="*", account="")

    def model(self, stages: Sequence[str]) -> list[str]:
        """All that SageMaker has of the stages' models."""
        kinds = ("endpoint", "endpoint-config", "inference-component", "model")
        return [arn for kind in kinds for arn in self.named("sagemaker", kind, stages)]

    def log_groups(self, stages: Sequence[str]) -> list[str]:
        """Log groups of the stages' programs."""
        # AWS puts its own path before the name of a function, an endpoint or a state machine.
        return [self.colon("logs", "log-group", f"*{stage_prefix(stage)}-*") for stage in stages]

    def named(self, service: str, resource: str, stages: Sequence[str]) -> list[str]:
        """ARNs of what is named after a stage."""
        return [self.of(service, resource, f"{stage_prefix(stage)}-*") for stage in stages]

    def of(self, service: str, resource: str, name: str, region: str | None = None) -> str:
        """ARN of the form `resource/name`; of this region unless another one, or none, is given."""
        return self._stack.format_arn(service=service, resource=resource, resource_name=name, region=region)

    def colon(self, service: str, resource: str, name: str) -> str:
        """ARN of the form `resource:name`."""
        return self._stack.format_arn(
            service=service, resource=resource, resource_name=name, arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME
        )

    def every_secret(self) -> str:
        """ARN of every secret: CloudFormation names them after their logical id only."""
        return self._stack.format_arn(
            service="secretsmanager", resource="secret:*", arn_format=cdk.ArnFormat.NO_RESOURCE_NAME
        )


def allow(
    sid: str, actions: Sequence[str], resources: Sequence[str], conditions: dict[str, object] | None = None
) -> iam.PolicyStatement:
    """A statement that allows actions on resources."""
    return iam.PolicyStatement(sid=sid, actions=list(actions), resources=list(resources), conditions=conditions or {})


def tagged(stages: Sequence[str]) -> dict[str, object]:
    """Condition that a resource carries the tags of one of the stages."""
    return {
        "StringEquals": {"aws:ResourceTag/project": PROJECT},
        "StringLike": {"aws:ResourceTag/stage": list(stages)},
    }
