"""Rules of SageMaker's endpoint configurations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ministack.core.responses import get_region

from localcloud.emulator.rules.rule import Call, Change, Checks, Values

MOST_POOLS = 5
POOLS_ROUTING = "LEAST_OUTSTANDING_REQUESTS"
NEVER_ZERO = ("eu-west-3",)
"""Regions where a minimum of no instance was seen to be refused; no list of AWS's was found."""


def _variants(request: Call | Change) -> Iterator[tuple[int, Mapping[str, Any]]]:
    wanted = request.parameters if isinstance(request, Call) else request.after
    yield from enumerate(wanted.get("ProductionVariants") or (), 1)


def _scaling(variant: Mapping[str, Any]) -> Mapping[str, Any]:
    """Managed instance scaling of a variant where it is enabled; empty otherwise."""
    found: Mapping[str, Any] = variant.get("ManagedInstanceScaling") or {}
    return found if found.get("Status") == "ENABLED" else {}


def _no_instance(change: Change) -> Values | None:
    for number, variant in _variants(change):
        if "InitialInstanceCount" in variant and int(variant["InitialInstanceCount"]) < 1:
            return {"given": variant["InitialInstanceCount"], "number": number}
    return None


def _many_pools(call: Call) -> Values | None:
    for number, variant in _variants(call):
        if len(variant.get("InstancePools") or ()) > MOST_POOLS:
            return {"number": number, "most": MOST_POOLS}
    return None


def _routing(call: Call) -> Values | None:
    for _, variant in _variants(call):
        strategy = (variant.get("RoutingConfig") or {}).get("RoutingStrategy")
        if variant.get("InstancePools") and not variant.get("ModelName") and strategy != POOLS_ROUTING:
            return {"variant": variant["VariantName"], "strategy": POOLS_ROUTING}
    return None


def _scaling_with_model(call: Call) -> Values | None:
    return {} if any(_scaling(variant) and variant.get("ModelName") for _, variant in _variants(call)) else None


def _scales_to_zero(call: Call) -> Values | None:
    least = [_scaling(variant).get("MinInstanceCount") for _, variant in _variants(call)]
    return {} if get_region() in NEVER_ZERO and 0 in least else None


def _without_role(call: Call) -> Values | None:
    """Components take their rights from the configuration, models in a variant have their own."""
    if call.parameters.get("ExecutionRoleArn"):
        return None
    return {} if any(not variant.get("ModelName") for _, variant in _variants(call)) else None


CHECKS: Checks = {
    "initial-instance-count": _no_instance,
    "instance-pools": _many_pools,
    "instance-pools-routing": _routing,
    "instance-scaling-with-model": _scaling_with_model,
    "instance-scaling-to-zero": _scales_to_zero,
    "configuration-role": _without_role,
}
