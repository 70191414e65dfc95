"""Rules of Elastic Load Balancing."""

from __future__ import annotations

from localcloud.emulator.rules.rule import Call, Change, Checks, Values

MODEL = "botocore 1.43.106, elasticloadbalancingv2/2015-12-01"
LONGEST_NAME = 32
IDLE = "idle_timeout.timeout_seconds"
LONGEST_IDLE_SECONDS = 4000


def _long_name(request: Call | Change) -> Values | None:
    wanted = request.parameters if isinstance(request, Call) else request.after
    name = str(wanted.get("Name") or "")
    return {"name": name, "most": LONGEST_NAME} if len(name) > LONGEST_NAME else None


def _idle_time(change: Change) -> Values | None:
    for attribute in change.after.get("LoadBalancerAttributes") or ():
        seconds = str(attribute.get("Value"))
        if attribute.get("Key") == IDLE and not (seconds.isdigit() and 1 <= int(seconds) <= LONGEST_IDLE_SECONDS):
            return {"key": IDLE, "most": LONGEST_IDLE_SECONDS}
    return None


CHECKS: Checks = {
    "target-group-name": _long_name,
    "idle-timeout": _idle_time,
}
