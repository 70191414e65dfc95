"""Rules of SageMaker about the placement of inference components on the machines of an endpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from localcloud.emulator.rules.instances import MACHINES, Machine
from localcloud.emulator.rules.rule import Call, Checks, Values
from localcloud.emulator.rules.sagemaker import instance_types, stored, variants

TAKEN_MB = 12 * 1024
"""What SageMaker keeps of a host: 4,096 MB were refused of 16 GiB, whatever else ran there (1,024 were not)."""


def _needs(call: Call, kind: str) -> Mapping[str, Any]:
    """What a copy takes of an instance type: by the specification for that type, or by the one for all."""
    each = call.parameters.get("Specifications") or [call.parameters.get("Specification") or {}]
    chosen: Mapping[str, Any] = next((item for item in each if item.get("InstanceType", kind) == kind), {})
    return chosen.get("ComputeResourceRequirements") or {}


def _machines(call: Call) -> Iterator[tuple[Mapping[str, Any], Machine]]:
    """Those of the variant on which the component is to run, each with what a copy takes of it; none when a type is
    not in the table."""
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
        yield from ((_needs(call, kind), MACHINES[kind]) for kind in kinds)


def _no_memory(call: Call) -> Values | None:
    """No machine of the pools has so much that SageMaker gives to components."""
    wanted = [(int(needs.get("MinMemoryRequiredInMb") or 0), machine.gib) for needs, machine in _machines(call)]
    return {} if wanted and all(megabytes >= gib * 1024 - TAKEN_MB for megabytes, gib in wanted) else None


def _no_accelerators(call: Call) -> Values | None:
    """No machine of the pools has so many GPUs."""
    key = "NumberOfAcceleratorDevicesRequired"
    wanted = [(float(needs.get(key) or 0), machine.gpus) for needs, machine in _machines(call)]
    return {} if wanted and all(devices > gpus for devices, gpus in wanted) else None


def _no_copies(call: Call) -> Values | None:
    """A new component without a copy: only scaling takes the last one away."""
    return {} if (call.parameters.get("RuntimeConfig") or {}).get("CopyCount") == 0 else None


CHECKS: Checks = {
    "component-memory": _no_memory,
    "component-accelerators": _no_accelerators,
    "component-copies": _no_copies,
}
