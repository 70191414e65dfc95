"""Rules of Secrets Manager."""

from __future__ import annotations

from datetime import date

from ministack.services import secretsmanager

from localcloud.emulator.rules.rule import Call, Change, Rule, Values

TYPES = ("AWS::SecretsManager::Secret",)


def _in_deletion(request: Call | Change) -> Values | None:
    if isinstance(request, Change) and request.action != "create":
        return None
    wanted = request.parameters if isinstance(request, Call) else request.after
    found = secretsmanager._secrets.get(wanted.get("Name"))
    return {} if found and found.get("DeletedDate") else None


def _exists(change: Change) -> Values | None:
    name = change.after.get("Name")
    found = secretsmanager._secrets.get(name)
    return {"name": name} if change.action == "create" and found and not found.get("DeletedDate") else None


RULES = (
    Rule(
        name="secret-in-deletion",
        service="Secrets Manager",
        refused="a secret takes the name of one that waits for its deletion",
        code="InvalidRequestException",
        message="You can't create this secret because a secret with this name is already scheduled for deletion.",
        source="https://github.com/redpanda-data/console/issues/1835",
        seen=date(2026, 11, 29),
        certainty="reported",
        applies=_in_deletion,
        calls=("secretsmanager:CreateSecret",),
        types=TYPES,
    ),
    Rule(
        name="secret-exists",
        service="Secrets Manager",
        refused="a stack creates a secret whose name exists",
        code="ResourceExistsException",
        message="The operation failed because the secret {name} already exists.",
        source="botocore 1.43.106, secretsmanager/2017-10-17, CreateSecret",
        seen=date(2026, 11, 29),
        certainty="modelled",
        applies=_exists,
        types=TYPES,
    ),
)
