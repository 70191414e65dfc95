"""Trust policies: which token of GitHub Actions may assume which role.

Claims and their condition keys: AWS STS, "Available keys for AWS web identity federation"; the form of the subject:
GitHub, "OpenID Connect reference" (with ids for repositories that have immutable subjects).
"""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import aws_iam as iam

from infra.settings.delivery import DeliverySettings, Workflow

ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
ENVIRONMENTS: dict[Workflow, tuple[str, ...]] = {
    "preview": ("preview",),
    "deploy": ("staging", "production"),
    "teardown": ("teardown",),
    "evaluate": ("evaluation",),
}
"""GitHub environments whose jobs may use the role of a workflow."""
APPROVAL = "approval"
"""GitHub environment whose reviewers are asked before production: its job has no role."""
PULL_REQUESTS = "refs/pull/*/merge"


@dataclass(frozen=True)
class Trust:
    """Conditions on a token: `exact` claims must be equal to one value, `alike` may hold `*`."""

    exact: dict[str, list[str]]
    alike: dict[str, list[str]]

    def principal(self, provider_arn: str) -> iam.WebIdentityPrincipal:
        """Principal for the bearer of such a token of the provider."""
        conditions = {"StringEquals": _keyed(self.exact)}
        if self.alike:
            conditions["StringLike"] = _keyed(self.alike)
        return iam.WebIdentityPrincipal(provider_arn, conditions)


def trust(workflow: Workflow, settings: DeliverySettings) -> Trust:
    """The trust in one workflow: repository, environment, workflow file and branch, all of them.

    The subject of a job with an environment names no branch, hence the further claims. A pull request's token carries
    the merge of that pull request; only its number cannot be known beforehand.
    """
    repository = settings.repository or ""
    environments = list(ENVIRONMENTS[workflow])
    branch = f"refs/heads/{settings.branch}"
    file = f"{repository}/.github/workflows/{workflow}.yaml"
    exact = {
        "aud": [AUDIENCE],
        "sub": [f"repo:{_subject(settings)}:environment:{environment}" for environment in environments],
        "repository": [repository],
        "environment": environments,
    }
    if settings.repository_id is not None:
        exact["repository_id"] = [str(settings.repository_id)]
    if workflow == "preview":
        # A merged pull request's last event carries the branch that it was merged into.
        refs = [PULL_REQUESTS, branch]
        return Trust(exact, {"ref": refs, "job_workflow_ref": [f"{file}@{ref}" for ref in refs]})
    return Trust({**exact, "ref": [branch], "job_workflow_ref": [f"{file}@{branch}"]}, {})


def _subject(settings: DeliverySettings) -> str:
    owner, name = (settings.repository or "/").split("/")
    if settings.repository_id is None:
        return f"{owner}/{name}"
    return f"{owner}@{settings.owner_id}/{name}@{settings.repository_id}"


def _keyed(claims: dict[str, list[str]]) -> dict[str, str | list[str]]:
    return {f"{ISSUER}:{claim}": values[0] if len(values) == 1 else values for claim, values in claims.items()}
