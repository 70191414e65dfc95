"""Rules of Service Quotas: what an account may have at most in a region."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ministack.services import ec2

from localcloud.emulator.registry import registered
from localcloud.emulator.rules.rule import Call, Change, Checks, Values
from localcloud.emulator.rules.sagemaker import instance_types, stored, variants

VPCS = 5
ADDRESSES = 5
ENDPOINT_INSTANCES_VARIABLE = "LOCALCLOUD_ENDPOINT_INSTANCES"
ENDPOINT_INSTANCES = 4
"""Of each type. AWS gives every account another number, a new one often none."""


def endpoint_instances() -> int:
    """The quota of instances for endpoints, of each type.

    Raises:
        ValueError: the variable is no number of instances.
    """
    given = os.environ.get(ENDPOINT_INSTANCES_VARIABLE) or str(ENDPOINT_INSTANCES)
    if not given.isdecimal():
        raise ValueError(f"{ENDPOINT_INSTANCES_VARIABLE} must be a number of instances, not {given!r}.")
    return int(given)


def _started(wanted: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Instances that variants start with, by type; of pools the first has capacity here."""
    found: Counter[str] = Counter()
    for variant in wanted:
        if kinds := instance_types(variant):
            found[kinds[0]] += int(variant.get("InitialInstanceCount") or 0)
    return found


def _endpoint_usage(call: Call) -> Values | None:
    """More instances than the quota, with those of every endpoint: an update starts a new fleet beside the old one."""
    name, config = call.parameters.get("EndpointName"), call.parameters.get("EndpointConfigName")
    if stored("endpoints", name).get("EndpointConfigName") == config:
        return None
    used: Counter[str] = Counter()
    for endpoint in registered("sagemaker").store("endpoints").values():
        used += _started(variants(endpoint["EndpointConfigName"]))
    most = endpoint_instances()
    for kind, count in _started(variants(config)).items():
        if used[kind] + count > most:
            return {"kind": kind, "most": most, "used": used[kind], "wanted": count}
    return None


def _vpcs(request: Call | Change) -> Values | None:
    if isinstance(request, Change) and request.action != "create":
        return None
    return {} if len(ec2._vpcs) >= VPCS else None


def _addresses(call: Call) -> Values | None:
    return {} if len(ec2._addresses) >= ADDRESSES else None


CHECKS: Checks = {
    "endpoint-instances": _endpoint_usage,
    "vpcs": _vpcs,
    "elastic-addresses": _addresses,
}
