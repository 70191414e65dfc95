"""Rules of Application Auto Scaling."""

from __future__ import annotations

from localcloud.emulator.registry import registered
from localcloud.emulator.rules.rule import Call, Checks, Values
from localcloud.emulator.services.application_autoscaling import NAME, target_key

BOUNDS = ("MinCapacity", "MaxCapacity")


def _is_target(call: Call) -> bool:
    return target_key(dict(call.parameters)) in registered(NAME).store("targets")


def _without_target(call: Call) -> Values | None:
    if _is_target(call):
        return None
    wanted = call.parameters
    return {
        "namespace": wanted.get("ServiceNamespace"),
        "resource": wanted.get("ResourceId"),
        "dimension": wanted.get("ScalableDimension"),
    }


def _unbounded(call: Call) -> Values | None:
    """A new target needs both bounds; of a registered one, what a request leaves out stays as it is."""
    if _is_target(call) or all(call.parameters.get(bound) is not None for bound in BOUNDS):
        return None
    return {"resource": call.parameters.get("ResourceId")}


CHECKS: Checks = {
    "policy-without-target": _without_target,
    "target-bounds": _unbounded,
}
