"""Instances under managed scaling: they end some time after the last copy, and come back with the next."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from localcloud.aws_time import IDLE_UNTIL_NO_INSTANCES

IDLE_SINCE = "LocalcloudIdleSince"
"""Field of an endpoint: when a component of it lost its last copy or was deleted."""


def with_instances(
    endpoint: Mapping[str, Any], config: Mapping[str, Any], components: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """The endpoint as DescribeEndpoint answers it, without the instances that managed scaling has ended.

    Args:
        endpoint: as it is kept.
        config: its configuration; empty when that was deleted.
        components: of the endpoint.
    """
    wanted = {variant["VariantName"]: variant for variant in config.get("ProductionVariants", ())}
    used = {component["VariantName"] for component in components if _has_copies(component)}
    idle = time.time() - endpoint.get(IDLE_SINCE, endpoint["CreationTime"]) > IDLE_UNTIL_NO_INSTANCES.here()
    variants = [
        {**variant, "CurrentInstanceCount": 0, "DesiredInstanceCount": 0}
        if idle and variant["VariantName"] not in used and _may_be_empty(wanted.get(variant["VariantName"], {}))
        else variant
        for variant in endpoint["ProductionVariants"]
    ]
    return {**endpoint, "ProductionVariants": variants}


def _has_copies(component: Mapping[str, Any]) -> bool:
    runtime = component["RuntimeConfig"]
    return bool(runtime["DesiredCopyCount"] or runtime["CurrentCopyCount"])


def _may_be_empty(variant: Mapping[str, Any]) -> bool:
    managed = variant.get("ManagedInstanceScaling") or {}
    return managed.get("Status") == "ENABLED" and int(managed.get("MinInstanceCount", 1)) == 0
