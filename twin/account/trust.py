"""Connects an AWS account and a GitHub repository: the Delivery stack there, environments and variables here."""

from __future__ import annotations

import os

from infra.constructs.delivery.trust import APPROVAL, ENVIRONMENTS, PULL_REQUESTS
from infra.names import DELIVERY_STACK
from infra.settings.deployment import EPHEMERAL, SettingsError, load_settings
from twin.account.image import ensure_image_stack
from twin.target import cdk
from twin.target.cloudformation import CloudFormation
from twin.target.errors import TwinError
from twin.target.github import GitHub
from twin.target.progress import Progress
from twin.target.stage import Stage

REPOSITORY = "TWIN_DELIVERY__REPOSITORY"
ROLE = "RoleArn"
PRODUCTION = "production"
RELEASES, RELEASE_TAGS = "release", "v*"


def deploy_trust(stage: Stage, repository: str, progress: Progress) -> dict[str, str]:
    """Deploy the Delivery stack with the account and region of `stage`; returns role ARNs by workflow.

    Raises:
        TwinError: for a wrong repository name or a stage that has no Delivery stack, or what CloudFormation said.
    """
    if EPHEMERAL.fullmatch(stage.name):
        raise TwinError(
            f"The Delivery stack belongs to the account of lasting stages: use STAGE=dev instead of {stage.name}."
        )
    if stage.is_local:
        raise TwinError("The Delivery stack trusts GitHub with an AWS account: use STAGE=dev or another stage on AWS.")
    try:
        images = load_settings(stage.name).rag.image_repository
    except SettingsError as error:
        raise TwinError(str(error)) from None
    ensure_image_stack(stage, images, progress)
    overrides = {**stage.environment, REPOSITORY: repository}
    cdk.deploy(stage.name, [DELIVERY_STACK], overrides, progress, exclusively=True)
    return roles(stage)


def roles(stage: Stage) -> dict[str, str]:
    """Role ARNs by workflow, from the Delivery stack's outputs.

    Raises:
        TwinError: the Delivery stack is not deployed.
    """
    stack = CloudFormation(stage).stack(DELIVERY_STACK)
    if stack is None:
        raise TwinError(f"Stack {DELIVERY_STACK} is not deployed: run `twin account trust --stage {stage.name}` first.")
    return {key.removesuffix(ROLE).lower(): value for key, value in stack.outputs.items() if key.endswith(ROLE)}


def connect(github: GitHub, found: dict[str, str], region: str, branch: str) -> list[str]:
    """Set the repository's environments and variables; returns their names.

    Raises:
        TwinError: GitHub refused.
    """
    done = []
    for workflow, arn in sorted(found.items()):
        for environment in next(names for known, names in ENVIRONMENTS.items() if known == workflow):
            refs = (PULL_REQUESTS, branch) if workflow == "preview" else (branch,)
            github.set_environment(environment, refs)
            done.append(f"environment {environment}")
        if workflow == "deploy":
            github.set_environment(APPROVAL, (branch,))
            done.append(f"environment {APPROVAL}")
        name = f"AWS_{workflow.upper()}_ROLE"
        github.set_variable(name, arn)
        done.append(f"variable {name}")
    # Releases need no role, but an environment that GitHub makes by itself is open to every branch.
    github.set_environment(RELEASES, (RELEASE_TAGS,), "tag")
    github.set_variable("AWS_REGION", region)
    return [*done, f"environment {RELEASES}", "variable AWS_REGION"]


def approval_warnings(github: GitHub) -> list[str]:
    """What is wrong with who is asked before production, after `connect`; empty when a person is.

    Plans with required reviewers: https://docs.github.com/en/rest/deployments/environments

    Raises:
        TwinError: GitHub refused.
    """
    found = []
    if not github.asks_reviewers(APPROVAL):
        plan = "" if github.is_public() else " In a private repository GitHub offers that with GitHub Enterprise only."
        found.append(
            f"Nobody is asked before a release goes to production: the environment {APPROVAL} has no reviewers.{plan}"
        )
    if github.asks_reviewers(PRODUCTION):
        found.append(
            f"A rollback will wait for the reviewers of the environment {PRODUCTION}: move them to {APPROVAL}."
        )
    return found


def branch() -> str:
    """The only branch that deploys: the setting `delivery.branch` of the Delivery stack."""
    return os.environ.get("TWIN_DELIVERY__BRANCH", "main")
