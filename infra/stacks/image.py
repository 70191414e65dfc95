"""Image stack: the account's repository of the service's images, and the build that fills it.

It belongs to the account, not to a stage, and is deployed alone: a stage's `cdk deploy --all` does not contain it. It
owns the repository, so that the Delivery stack, which lets GitHub's workflows push to it, may come before or after.
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from constructs import Construct

from infra.constructs.image.build import ImageBuild
from infra.constructs.shared.tagging import account_tag, tag_everything
from infra.names import IMAGE_STACK
from infra.settings.deployment import DeploymentSettings

IMAGES_KEPT = 300
"""Far more than lie between two approved releases, since a task starts only from an image."""


class ImageStack(cdk.Stack):
    """The repository and its build."""

    def __init__(
        self, scope: Construct, construct_id: str, *, settings: DeploymentSettings, env: cdk.Environment
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            env=env,
            description="LLM twin: images of the RAG service, and their build",
            # Every stage of the account runs from these images.
            termination_protection=True,
        )
        repository = ecr.Repository(
            self,
            "Images",
            repository_name=settings.rag.image_repository,
            image_scan_on_push=True,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            # A repository that stayed behind would keep the stack from being made again.
            removal_policy=cdk.RemovalPolicy.DESTROY,
            empty_on_delete=True,
        )
        repository.add_lifecycle_rule(max_image_count=IMAGES_KEPT)
        build = ImageBuild(self, "Build", name=IMAGE_STACK, repository=repository)
        cdk.CfnOutput(self, "RepositoryName", value=repository.repository_name)
        cdk.CfnOutput(self, "ProjectName", value=build.project.project_name)
        tag_everything(self, account_tag("image"), settings.tags)
