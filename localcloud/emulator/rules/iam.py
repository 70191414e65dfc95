"""Rules of IAM."""

from __future__ import annotations

import json
from typing import Any

from ministack.services import iam

from localcloud.emulator.rules.rule import Call, Change, Checks, Values

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


def _provider_exists(call: Call) -> Values | None:
    url = str(call.parameters.get("Url", ""))
    host = url.partition("://")[2].rstrip("/")
    taken = any(arn.partition(":oidc-provider/")[2] == host for arn in iam._oidc_providers)
    return {"url": url} if taken else None


CHECKS: Checks = {
    "oidc-provider-exists": _provider_exists,
    "role-exists": _role_exists,
    "inline-policy-size": _inline_too_long,
    "managed-policy-size": _managed_too_long,
}
