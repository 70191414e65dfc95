"""Rules of Secrets Manager."""

from __future__ import annotations

from ministack.services import secretsmanager

from localcloud.emulator.rules.rule import Call, Change, Checks, Values

LARGEST_BYTES = 65_536


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


def _too_long(request: Call | Change) -> Values | None:
    wanted = request.parameters if isinstance(request, Call) else request.after
    return {"most": LARGEST_BYTES} if len(str(wanted.get("SecretString", "")).encode()) > LARGEST_BYTES else None


CHECKS: Checks = {
    "secret-size": _too_long,
    "secret-in-deletion": _in_deletion,
    "secret-exists": _exists,
}
