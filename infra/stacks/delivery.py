"""Delivery stack: access of one GitHub repository's workflows to this account, without a long-lived key.

It belongs to the account, not to a stage: `twin ci set-up` deploys it once, and no workflow names the repository in its
settings, so that none can deploy, change or delete its own trust together with a stage.
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.constructs.delivery.permissions import PREVIEW_IMAGES, Permissions
from infra.constructs.delivery.trust import AUDIENCE, ISSUER, trust
from infra.constructs.shared.acknowledge import acknowledge, readable
from infra.constructs.shared.tagging import account_tag, tag_everything
from infra.names import DELIVERY
from infra.settings.delivery import Workflow
from infra.settings.deployment import DeploymentSettings

LONGEST_JOB = cdk.Duration.hours(2)
"""Time for a deployment that waits for a GPU, or for the deletion of every expired stage."""

PREVIEW_IMAGE_LIFE = cdk.Duration.days(14)


class DeliveryStack(cdk.Stack):
    """GitHub's OIDC provider, the permissions boundary of all workflows, and one role for each."""

    def __init__(
        self, scope: Construct, construct_id: str, *, settings: DeploymentSettings, env: cdk.Environment
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            env=env,
            description="LLM twin: what GitHub Actions may do in this account",
            termination_protection=True,
        )
        self._permissions = Permissions(self, settings)
        provider = settings.delivery.provider_arn or self._provider()
        ceiling = iam.ManagedPolicy(
            self,
            "Ceiling",
            managed_policy_name=f"{DELIVERY}-ceiling",
            description="What no workflow of the LLM twin may exceed",
            document=iam.PolicyDocument(statements=self._permissions.ceiling()),
        )
        self._accept_wildcards(ceiling, self._permissions.ceiling())
        for workflow in settings.delivery.workflows:
            self._role(workflow, settings, provider, ceiling)
        previews = ecr.Repository(
            self,
            "PreviewImages",
            repository_name=PREVIEW_IMAGES,
            image_scan_on_push=True,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
        )
        previews.add_lifecycle_rule(max_image_age=PREVIEW_IMAGE_LIFE)
        tag_everything(self, account_tag("delivery"), settings.tags)

    def _provider(self) -> str:
        # No thumbprints: AWS checks GitHub's certificate against its own list of authorities.
        provider = iam.OidcProviderNative(self, "GitHub", url=f"https://{ISSUER}", client_ids=[AUDIENCE])
        return provider.oidc_provider_arn

    def _role(
        self, workflow: Workflow, settings: DeploymentSettings, provider: str, ceiling: iam.ManagedPolicy
    ) -> None:
        role = iam.Role(
            self,
            f"{workflow.capitalize()}Role",
            role_name=f"{DELIVERY}-{workflow}",
            description=f"Workflow {workflow}.yaml of {settings.delivery.repository}",
            assumed_by=trust(workflow, settings.delivery).principal(provider),
            permissions_boundary=ceiling,
            max_session_duration=LONGEST_JOB,
        )
        statements = self._permissions.of(workflow)
        for statement in statements:
            role.add_to_policy(statement)
        self._accept_wildcards(role, statements)
        cdk.CfnOutput(self, f"{workflow.capitalize()}RoleArn", value=role.role_arn)

    def _accept_wildcards(self, scope: Construct, statements: list[iam.PolicyStatement]) -> None:
        why = "Names end in a generated suffix; lists and secrets are limited by action or by tag."
        for resource in sorted({resource for statement in statements for resource in statement.resources}):
            text = readable(self, resource)
            if "*" in text:
                acknowledge(scope, f"AwsSolutions-IAM5[Resource::{text}]", why)
