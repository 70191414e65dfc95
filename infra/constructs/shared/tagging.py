"""Tags by which a stage's resources are found, priced and deleted."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from constructs import IConstruct

from infra.names import PROJECT


def tag_everything(scope: IConstruct, stage: str, further: Mapping[str, str]) -> None:
    """Tag every taggable resource below `scope`; project and stage cannot be overridden by `further`."""
    for key, value in {**further, "project": PROJECT, "stage": stage}.items():
        cdk.Tags.of(scope).add(key, value)
