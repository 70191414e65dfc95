"""Trust policies of roles that the CDK makes: only for what a service does in the role's own account."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam


def trust_own_account(role: iam.IRole, *, service: str, resource: str) -> None:
    """Let `service` take the role only for resources of the stack's account and region (confused deputy).

    Sources: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html,
    https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html.

    Args:
        role: made by a construct of the CDK, which offers no condition for it.
        service: that the resource's ARN names, like `ecs`.
        resource: the rest of the ARN, a pattern.
    """
    stack = cdk.Stack.of(role)
    definition = role.node.default_child
    assert isinstance(definition, iam.CfnRole)  # noqa: S101 - not imported by name
    definition.add_property_override(
        "AssumeRolePolicyDocument.Statement.0.Condition",
        {
            "StringEquals": {"aws:SourceAccount": stack.account},
            "ArnLike": {"aws:SourceArn": f"arn:{stack.partition}:{service}:{stack.region}:{stack.account}:{resource}"},
        },
    )
