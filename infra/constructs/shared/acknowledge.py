"""Acknowledgements of cdk-nag's findings, each with a reason and next to the resource that it is about."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from constructs import IConstruct


def acknowledge(scope: IConstruct, rule: str, reason: str) -> None:
    """Accept `rule` (`AwsSolutions-...`) for `scope` and what is below it."""
    cdk.Validations.of(scope).acknowledge(cdk.Acknowledgment(id=rule, reason=reason))


def readable(scope: IConstruct, value: str) -> str:
    """`value` as cdk-nag spells it in the id of a finding: references become `<Name>`."""
    resolved = cdk.Stack.of(scope).resolve(value)
    if isinstance(resolved, str):
        return resolved
    parts = resolved["Fn::Join"][1]
    return "".join(part if isinstance(part, str) else f"<{_reference(part)}>" for part in parts)


def _reference(part: dict[str, Any]) -> str:
    return str(part["Ref"]) if "Ref" in part else ".".join(part["Fn::GetAtt"])
