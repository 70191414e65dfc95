"""Rules of IAM."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from ministack.services import iam

from localcloud.emulator.rules.rule import Call, Change, Rule, Values

INLINE_CHARACTERS = 10_240
"""Of all inline policies of a role together, without white space."""
MANAGED_CHARACTERS = 6_144
"""Of a managed policy, without white space."""


def characters(document: Any) -> int:
    """Length of a policy document as IAM counts it: without white space."""
    return len("".join((document if isinstance(document, str) else json.dumps(document)).split()))


def _inline_too_long(request: Call | Change) -> Values | None:
    if isinstance(request, Call):
        name = str(request.parameters.get("PolicyName"))
        added = {str(request.parameters.get("RoleName")): {name: request.parameters.get("PolicyDocument", "")}}
    elif request.type == "AWS::IAM::Role":
        policies = {each["PolicyName"]: each["PolicyDocument"] for each in request.after.get("Policies") or ()}
        added = {str(request.after.get("RoleName") or request.physical_id or request.logical_id): policies}
    else:
        policy = {str(request.after.get("PolicyName")): request.after.get("PolicyDocument", "")}
        added = {str(role): policy for role in request.after.get("Roles") or ()}
    for role, policies in added.items():
        present = (iam._roles.get(role) or {}).get("InlinePolicies") or {}
        if sum(map(characters, {**present, **policies}.values())) > INLINE_CHARACTERS:
            return {"most": INLINE_CHARACTERS, "role": role}
    return None


def _managed_too_long(request: Call | Change) -> Values | None:
    wanted = request.parameters if isinstance(request, Call) else request.after
    return {"most": MANAGED_CHARACTERS} if characters(wanted.get("PolicyDocument", "")) > MANAGED_CHARACTERS else None


def _role_exists(change: Change) -> Values | None:
    name = change.after.get("RoleName")
    return {"name": name} if change.action == "create" and name in iam._roles else None


RULES = (
    Rule(
        name="role-exists",
        service="IAM",
        refused="a stack creates a role whose name exists in the account, also when it is another region's",
        code="EntityAlreadyExists",
        message="Role with name {name} already exists.",
        source="botocore 1.43.106, iam/2010-05-08, CreateRole",
        seen=date(2026, 11, 29),
        certainty="modelled",
        applies=_role_exists,
        types=("AWS::IAM::Role",),
        status=409,
    ),
    Rule(
        name="inline-policy-size",
        service="IAM",
        refused="the inline policies of a role are longer than 10,240 characters together, without white space",
        code="LimitExceeded",
        message="Maximum policy size of {most} bytes exceeded for role {role}",
        source="https://github.com/aws/aws-cdk/issues/12403",
        seen=date(2026, 11, 29),
        certainty="reported",
        applies=_inline_too_long,
        calls=("iam:PutRolePolicy",),
        types=("AWS::IAM::Policy", "AWS::IAM::Role"),
        status=409,
    ),
    Rule(
        name="managed-policy-size",
        service="IAM",
        refused="a managed policy is longer than 6,144 characters, without white space",
        code="LimitExceeded",
        message="Cannot exceed quota for PolicySize: {most}",
        source="https://github.com/ministryofjustice/cloud-platform-environments/pull/14473",
        seen=date(2026, 11, 29),
        certainty="reported",
        applies=_managed_too_long,
        calls=("iam:CreatePolicy", "iam:CreatePolicyVersion"),
        types=("AWS::IAM::ManagedPolicy",),
        status=409,
    ),
)
