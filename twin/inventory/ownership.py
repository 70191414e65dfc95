"""Which resources belong to a stage: by the history of its stacks, by its tags, by its names.

Names alone do not reach everything: CloudFormation names secrets and layers after their logical id, without the stack.
The history of the stacks holds every physical id that they ever had, also of stacks deleted within the last 90 days.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from infra.names import OPTIONAL_STACKS, PROJECT, STACKS, parameter_path
from twin.inventory.identifiers import id_aliases, ids_of, tags_of
from twin.target.cloudformation import CloudFormation, StackRecord
from twin.target.stage import Stage

ALL_STACKS = (*STACKS, *OPTIONAL_STACKS)
GROUP = "AWS::AutoScaling::AutoScalingGroup"
VOLUME = "AWS::EC2::Volume"


@dataclass(frozen=True)
class Ownership:
    """What is known of a stage's resources.

    Attributes:
        longer_prefixes: prefixes of other stages whose names start with this stage's name (`dev-2` beside `dev`).
        history: aliases of the physical ids of everything that the stage's stacks ever held.
        kept: aliases of the physical ids of what is to stay.
        kept_stacks: names of the stacks that are to stay.
    """

    stage: Stage
    longer_prefixes: tuple[str, ...] = ()
    history: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()
    kept_stacks: tuple[str, ...] = ()

    def owns(self, name: str, item: Any = None) -> bool:
        """Whether a resource, as its service lists it, is the stage's and not to be kept."""
        known = id_aliases(name) | ids_of(item)
        if known & self.kept or any(_has_prefix(name, stack) for stack in self.kept_stacks):
            return False
        return bool(known & self.history) or self.is_tagged(item) or self.is_named(name)

    def is_named(self, name: str) -> bool:
        """Whether a segment of a name, ARN, URL or path starts with the stage's prefix."""
        if any(_has_prefix(name, prefix, or_equals=False) for prefix in self.longer_prefixes):
            return False
        return _has_prefix(name, self.stage.prefix) or parameter_path(self.stage.name) in name

    def is_tagged(self, item: Any) -> bool:
        """Whether an item of a list carries the stage's tags."""
        found = tags_of(item)
        return found.get("project") == PROJECT and found.get("stage") == self.stage.name

    def is_stack(self, name: str) -> bool:
        """Whether a stack is, by its name, one of the stage's."""
        return name in {self.stage.stack(part) for part in ALL_STACKS} or self.is_named(name)


def read_ownership(stage: Stage, kept_stacks: Iterable[str] = ()) -> Ownership:
    """Read the history of the stage's stacks; `kept_stacks` are the names of those that are to stay."""
    cloudformation = CloudFormation(stage)
    records = list(cloudformation.records())
    own = Ownership(stage, longer_prefixes(stage, {record.name for record in records}))
    kept = tuple(kept_stacks)
    return Ownership(
        stage,
        own.longer_prefixes,
        frozenset(
            alias for record in records if own.is_stack(record.name) for alias in _ever_held(cloudformation, record)
        ),
        frozenset(alias for name in kept for alias in owned_ids(stage, name)),
        kept,
    )


def longer_prefixes(stage: Stage, stacks: Iterable[str]) -> tuple[str, ...]:
    """Prefixes of other stages whose names start with this stage's name, as far as the names of stacks show."""
    pattern = re.compile(rf"({re.escape(stage.prefix)}-.+)-({'|'.join(ALL_STACKS)})")
    return tuple(sorted({found[1] for name in stacks if (found := pattern.fullmatch(name))}))


def owned_ids(stage: Stage, stack: str) -> set[str]:
    """Aliases of the stack and everything in it, with its groups' machines and its volumes' snapshots."""
    resources = list(CloudFormation(stage).resources(stack))
    found = {stack, *(alias for resource in resources for alias in id_aliases(resource.physical_id))}
    groups = [each.physical_id for each in resources if each.type == GROUP and each.physical_id]
    volumes = [each.physical_id for each in resources if each.type == VOLUME and each.physical_id]
    return found | snapshots_of(stage, volumes) | _machines_of(stage, groups)


def snapshots_of(stage: Stage, volumes: list[str]) -> set[str]:
    """Snapshots of volumes, which no stack lists."""
    if not volumes:
        return set()
    pages = stage.client("ec2").get_paginator("describe_snapshots")
    wanted = [{"Name": "volume-id", "Values": volumes}]
    return {
        snapshot["SnapshotId"]
        for page in pages.paginate(OwnerIds=["self"], Filters=wanted)
        for snapshot in page["Snapshots"]
    }


def _machines_of(stage: Stage, groups: list[str]) -> set[str]:
    """Machines of auto scaling groups and their volumes, which no stack lists."""
    if not groups:
        return set()
    described = stage.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=groups)
    machines = [machine["InstanceId"] for group in described["AutoScalingGroups"] for machine in group["Instances"]]
    found = set(machines)
    for reservation in stage.client("ec2").describe_instances(InstanceIds=machines)["Reservations"] if machines else ():
        for machine in reservation["Instances"]:
            found |= {disk["Ebs"]["VolumeId"] for disk in machine.get("BlockDeviceMappings", ()) if "Ebs" in disk}
    return found


def _ever_held(cloudformation: CloudFormation, record: StackRecord) -> set[str]:
    """Aliases of every physical id in a stack's events."""
    return {
        alias
        for event in cloudformation.events(record.id)
        if event.physical_id and event.physical_id != event.stack_id
        for alias in id_aliases(event.physical_id)
    }


def _has_prefix(name: str, prefix: str, *, or_equals: bool = True) -> bool:
    segments = re.split("[:/]", name)
    return any(segment.startswith(f"{prefix}-") or (or_equals and segment == prefix) for segment in segments)
