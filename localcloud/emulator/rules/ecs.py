"""Rules of ECS."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ministack.services import ecs

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
STOP_SECONDS = range(2, 121)
"""Of a container on Fargate between SIGTERM and SIGKILL."""


def _units(value: Any, unit: str) -> int | None:
    """CPU units or MiB of `512`, `0.5 vCPU` or `1 GB`; None for anything else."""
    found = re.fullmatch(rf"([\d.]+)\s*({unit})?", str(value), re.IGNORECASE)
    if found is None:
        return None
    return round(float(found[1]) * GIB) if found[2] else int(float(found[1]))


def _lower(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The API and CloudFormation name the same fields, with another first letter."""
    return {key.lower(): value for key, value in fields.items()}


def _for_fargate(request: Call | Change) -> dict[str, Any] | None:
    """A task definition for Fargate that is to be, with its fields in lower case; None for any other."""
    wanted = _lower(request.parameters if isinstance(request, Call) else request.after)
    return wanted if "FARGATE" in (wanted.get("requirescompatibilities") or ()) else None


def _no_size(request: Call | Change) -> Values | None:
    if (wanted := _for_fargate(request)) is None:
        return None
    cpu, memory = _units(wanted.get("cpu"), "vCPU"), _units(wanted.get("memory"), "GB")
    # Larger ones than the table has are newer than it.
    if cpu is None or memory is None or cpu > LARGEST or memory in MEMORY.get(cpu, ()):
        return None
    return {"cpu": cpu, "memory": memory}


def _stop_time(request: Call | Change) -> Values | None:
    for container in (_for_fargate(request) or {}).get("containerdefinitions") or ():
        seconds = _lower(container).get("stoptimeout")
        if seconds is not None and int(seconds) not in STOP_SECONDS:
            return {"least": STOP_SECONDS.start, "most": STOP_SECONDS.stop - 1}
    return None


def _cluster(request: Call | Change) -> str | None:
    """ARN of the cluster that is to be deleted."""
    if isinstance(request, Change) and request.action != "delete":
        return None
    named = request.parameters.get("cluster", "default") if isinstance(request, Call) else request.physical_id
    cluster = ecs._clusters.get(ecs._resolve_cluster_name(named))
    return str(cluster["clusterArn"]) if cluster else None


def _has_services(request: Call | Change) -> Values | None:
    arn = _cluster(request)
    active = (each for each in ecs._services.values() if each.get("status") == "ACTIVE")
    return {} if arn and any(each.get("clusterArn") == arn for each in active) else None


def _has_tasks(request: Call | Change) -> Values | None:
    arn = _cluster(request)
    active = (each for each in ecs._tasks.values() if each.get("lastStatus") != "STOPPED")
    return {} if arn and any(each.get("clusterArn") == arn for each in active) else None


CHECKS: Checks = {
    "cluster-with-services": _has_services,
    "cluster-with-tasks": _has_tasks,
    "stop-timeout": _stop_time,
    "fargate-size": _no_size,
}
