"""Rules of SageMaker about the placement of inference components on the machines of an endpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from localcloud.emulator.rules.instances import MACHINES, Machine
from localcloud.emulator.rules.rule import Call, Checks, Values
from localcloud.emulator.rules.sagemaker import instance_types, stored, variants

TAKEN_MB = 12 * 1024
"""What SageMaker keeps of a host: 4,096 MB were refused of 16 GiB, whatever else ran there (1,024 were not)."""


def _needs(call: Call) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (call.parameters.get("Specification") or {}).get("ComputeResourceRequirements") or {}
    return found


def _machines(call: Call) -> Iterator[Machine]:
    """Those of the variant on which the component is to run; none when a type is not in the table."""
    known = stored("components", call.parameters.get("InferenceComponentName"))
    names = {key: call.parameters.get(key) or known.get(key) for key in ("EndpointName", "VariantName")}
    config = stored("endpoints", names["EndpointName"]).get("EndpointConfigName")
    kinds = [
        kind
        for variant in variants(config)
        if variant["VariantName"] == names["VariantName"]
        for kind in instance_types(variant)
    ]
    if all(kind in MACHINES for kind in kinds):
        yield from (MACHINES[kind] for kind in kinds)


def _no_memory(call: Call) -> Values | None:
    """No machine of the pools has so much that SageMaker gives to components."""
    wanted, machines = int(_needs(call).get("MinMemoryRequiredInMb") or 0), list(_machines(call))
    return {} if machines and all(wanted >= machine.gib * 1024 - TAKEN_MB for machine in machines) else None


def _no_accelerators(call: Call) -> Values | None:
    """No machine of the pools has so many GPUs."""
    wanted, machines = float(_needs(call).get("NumberOfAcceleratorDevicesRequired") or 0), list(_machines(call))
    return {} if machines and all(wanted > machine.gpus for machine in machines) else None


def _no_copies(call: Call) -> Values | None:
    """A new component without a copy: only scaling takes the last one away."""
    return {} if (call.parameters.get("RuntimeConfig") or {}).get("CopyCount") == 0 else None


CHECKS: Checks = {
    "component-memory": _no_memory,
    "component-accelerators": _no_accelerators,
    "component-copies": _no_copies,
}
