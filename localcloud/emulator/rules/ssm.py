"""Rules of Systems Manager's parameters."""

from __future__ import annotations

from localcloud.emulator.rules.rule import Call, Change, Checks, Values

STANDARD_BYTES = 4096


def _too_long(request: Call | Change) -> Values | None:
    wanted = request.parameters if isinstance(request, Call) else request.after
    long = len(str(wanted.get("Value", "")).encode()) > STANDARD_BYTES
    return {"most": STANDARD_BYTES} if long and wanted.get("Tier", "Standard") == "Standard" else None


CHECKS: Checks = {
    "parameter-size": _too_long,
}
