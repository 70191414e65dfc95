"""Tags by which a stage's resources are found, priced and deleted."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from constructs import IConstruct

from infra.names import PROJECT

UNCHANGEABLE = ["AWS::CloudFront::VpcOrigin"]
"""Types that refuse every update while they are in use, also one of a tag: https://github.com/aws/aws-cdk/issues/35765.
They carry only the tags that never change."""


def account_tag(part: str) -> str:
    """Value of the tag `stage` of what belongs to the account: the name of no stage, so that none deletes it."""
    return f"account/{part}"


def tag_everything(scope: IConstruct, stage: str, further: Mapping[str, str]) -> None:
    """Tag every taggable resource below `scope`; project and stage cannot be overridden by `further`."""
    own = {"project": PROJECT, "stage": stage}
    for key, value in further.items():
        if key not in own:
            cdk.Tags.of(scope).add(key, value, exclude_resource_types=UNCHANGEABLE)
    for key, value in own.items():
        cdk.Tags.of(scope).add(key, value)
