"""Rules of STS."""

from __future__ import annotations

from ministack.services import iam

from localcloud.emulator.rules.rule import Call, Checks, Values

DEFAULT_SECONDS = 3600
CHAINED_SECONDS = 3600
TEMPORARY = "ASIA"
"""With which the ids of temporary keys begin."""


def _wanted(call: Call) -> int:
    return int(call.parameters.get("DurationSeconds") or DEFAULT_SECONDS)


def _too_long(call: Call) -> Values | None:
    """Longer than the role's own maximum; of a role that MiniStack does not know, it says what it wants."""
    role = iam._roles.get(str(call.parameters.get("RoleArn", "")).rpartition("/")[2])
    if role is None:
        return None
    return {} if _wanted(call) > int(role.get("MaxSessionDuration", DEFAULT_SECONDS)) else None


def _chained(call: Call) -> Values | None:
    return {} if call.key.startswith(TEMPORARY) and _wanted(call) > CHAINED_SECONDS else None


CHECKS: Checks = {
    "chained-session-duration": _chained,
    "session-duration": _too_long,
}
