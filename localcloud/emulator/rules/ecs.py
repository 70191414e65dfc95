"""Rules of ECS."""

from __future__ import annotations

import re
from typing import Any

from localcloud.emulator.rules.rule import Call, Change, Checks, Values

GIB = 1024
MEMORY = {
    256: (512, GIB, 2 * GIB),
    512: range(GIB, 4 * GIB + 1, GIB),
    1024: range(2 * GIB, 8 * GIB + 1, GIB),
    2048: range(4 * GIB, 16 * GIB + 1, GIB),
    4096: range(8 * GIB, 30 * GIB + 1, GIB),
    8192: range(16 * GIB, 60 * GIB + 1, 4 * GIB),
    16384: range(32 * GIB, 120 * GIB + 1, 8 * GIB),
}
"""Memory in MiB that Fargate has for each number of CPU units:
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html."""
LARGEST = max(MEMORY)


def _units(value: Any, unit: str) -> int | None:
    """CPU units or MiB of `512`, `0.5 vCPU` or `1 GB`; None for anything else."""
    found = re.fullmatch(rf"([\d.]+)\s*({unit})?", str(value), re.IGNORECASE)
    if found is None:
        return None
    return round(float(found[1]) * GIB) if found[2] else int(float(found[1]))


def _no_size(request: Call | Change) -> Values | None:
    if isinstance(request, Call):
        wanted = {key.lower(): value for key, value in request.parameters.items()}
    else:
        wanted = {key.lower(): value for key, value in request.after.items()}
    if "FARGATE" not in (wanted.get("requirescompatibilities") or ()):
        return None
    cpu, memory = _units(wanted.get("cpu"), "vCPU"), _units(wanted.get("memory"), "GB")
    # Larger ones than the table has are newer than it.
    if cpu is None or memory is None or cpu > LARGEST or memory in MEMORY.get(cpu, ()):
        return None
    return {"cpu": cpu, "memory": memory}


CHECKS: Checks = {
    "fargate-size": _no_size,
}
