"""Access of one GitHub repository to the account."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from infra.names import BOOTSTRAP_QUALIFIER
from infra.settings.base import Group

Workflow = Literal["preview", "deploy", "teardown", "evaluate"]


class DeliverySettings(Group):
    """Access of one GitHub repository to the account."""

    repository: str | None = Field(
        None,
        description="GitHub repository OWNER/NAME that may deploy; empty: no delivery stack.",
        pattern=r"^[A-Za-z0-9](-?[A-Za-z0-9]){0,38}/[A-Za-z0-9._-]{1,100}$",
    )
    owner_id: int | None = Field(
        None, description="Numeric id of the owner, where the token's subject holds ids.", ge=1
    )
    repository_id: int | None = Field(
        None, description="Numeric id of the repository, where the token's subject holds ids.", ge=1
    )
    branch: str = Field("main", description="The only branch that deploys.", pattern=r"^[\w.-]+(/[\w.-]+)*$")
    workflows: tuple[Workflow, ...] = Field(
        ("preview", "deploy", "teardown", "evaluate"),
        description="Workflows with a role here; previews should have a separate account.",
        min_length=1,
    )
    stages: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,19}$")], ...] = Field(
        ("dev", "prod"),
        description="Permanent stages that the workflows deploy, teardown and evaluate may change.",
        min_length=1,
    )
    provider_arn: str | None = Field(
        None,
        description="ARN of GitHub's OIDC provider, if the account has one; an account can have only one.",
        pattern=r"^arn:aws[a-z-]*:iam::\d{12}:oidc-provider/token\.actions\.githubusercontent\.com$",
    )
    qualifier: str = Field(
        BOOTSTRAP_QUALIFIER, description="Qualifier of the CDK bootstrap stack.", pattern=r"^[A-Za-z0-9_-]{1,10}$"
    )

    @model_validator(mode="after")
    def _ids_come_in_pairs(self) -> DeliverySettings:
        if (self.owner_id is None) != (self.repository_id is None):
            raise ValueError("owner_id and repository_id belong together: set both or none")
        return self
