"""Rules of CloudWatch Logs."""

from __future__ import annotations

from ministack.services import cloudwatch_logs

from localcloud.emulator.rules.rule import Change, Checks, Values


def _exists(change: Change) -> Values | None:
    name = change.after.get("LogGroupName")
    if change.action != "create" or name not in cloudwatch_logs._log_groups:
        return None
    return {"name": name}


CHECKS: Checks = {
    "log-group-exists": _exists,
}
