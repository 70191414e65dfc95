"""What belongs to the account and to no stage: no delete takes it away."""

from __future__ import annotations

from infra.names import ACCOUNT_STACKS, DELIVERY_STACK, IMAGE_STACK
from twin.target.bootstrap import BOOTSTRAP_STACK
from twin.target.cloudformation import CloudFormation
from twin.target.stage import Stage

HOLDS = {
    IMAGE_STACK: "images of the service",
    DELIVERY_STACK: "access of a GitHub repository",
    BOOTSTRAP_STACK: "the CDK's roles and assets",
}


def account_stacks(stage: Stage) -> dict[str, str]:
    """The account's own stacks that exist in the stage's region, and what each holds."""
    existing = {stack.name for stack in CloudFormation(stage).stacks()}
    return {name: HOLDS[name] for name in (*ACCOUNT_STACKS, BOOTSTRAP_STACK) if name in existing}
