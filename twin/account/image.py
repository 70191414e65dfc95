"""Deploys the account's Image stack: the repository of the service's images, and the build that fills it."""

from __future__ import annotations

from infra.names import IMAGE_STACK
from twin.target import cdk
from twin.target.cloudformation import CloudFormation
from twin.target.errors import TwinError
from twin.target.image_tag import has_repository
from twin.target.progress import Progress
from twin.target.stage import Stage

IN_THE_APP = ("--context", "image=true")


def deploy_image_stack(stage: Stage, repository: str, progress: Progress) -> dict[str, str]:
    """Deploy the Image stack with the sources of this checkout; returns its outputs.

    Raises:
        TwinError: the repository exists and is not the stack's, or what CloudFormation said.
    """
    cloudformation = CloudFormation(stage)
    if cloudformation.stack(IMAGE_STACK) is None and has_repository(stage, repository):
        raise TwinError(
            f"The repository {repository} exists already, and stack {IMAGE_STACK} cannot take it over: push the image "
            f"there yourself, or delete it (`aws ecr delete-repository --repository-name {repository} --force`, which "
            "deletes its images) and run the same command again."
        )
    cdk.deploy(stage.name, [IMAGE_STACK], stage.environment, progress, exclusively=True, context=IN_THE_APP)
    stack = cloudformation.stack(IMAGE_STACK)
    if stack is None:
        raise TwinError(f"Stack {IMAGE_STACK} was deployed and is gone.")
    return dict(stack.outputs)


def ensure_image_stack(stage: Stage, repository: str, progress: Progress) -> None:
    """Deploy the Image stack unless it exists, so that there is a repository to push to.

    Raises:
        TwinError: what CloudFormation said.
    """
    if CloudFormation(stage).stack(IMAGE_STACK) is None and not has_repository(stage, repository):
        deploy_image_stack(stage, repository, progress)
