"""Which resources are a stage's own: by the history of its stacks, by its tags, by its names.

Names alone do not reach everything: CloudFormation names secrets and layers after their logical id, without the stack.
The history of the stacks holds every physical id that they ever had, also of stacks deleted within the last 90 days.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from twin.target.paths import STACKS
from twin.target.stage import Stage

PROJECT = "llm-twin"
OPTIONAL_STACKS = ("vectors",)
"""Stacks that only some settings have."""
PARTS = (*STACKS, *OPTIONAL_STACKS)
IDENTIFYING = ("Name", "Arn", "ARN", "Id", "Url")
"""How the fields end that say which resource an item of a list is, or which one it belongs to."""
VERSION = re.compile(r":\d+$")


@dataclass(frozen=True)
class Ownership:
    """What is known of a stage's resources.

    Attributes:
        neighbours: prefixes of other stages whose names start with this stage's name (`dev-2` beside `dev`).
        history: physical ids of everything that the stage's stacks ever held, in every form that lists use.
        kept: physical ids of what is to stay, in the same forms.
        kept_stacks: names of the stacks that are to stay.
    """

    stage: Stage
    neighbours: tuple[str, ...] = ()
    history: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()
    kept_stacks: tuple[str, ...] = ()

    def owns(self, name: str, item: Any = None) -> bool:
        """Whether a resource, as its service lists it, is the stage's and not to be kept."""
        known = forms(name) | identifiers(item)
        if known & self.kept or any(_starts(name, stack) for stack in self.kept_stacks):
            return False
        return bool(known & self.history) or self.is_tagged(item) or self.is_named(name)

    def is_named(self, name: str) -> bool:
        """Whether a segment of a name, ARN, URL or path starts with the stage's prefix."""
        if any(_starts(name, prefix, itself=False) for prefix in self.neighbours):
            return False
        return _starts(name, self.stage.prefix) or f"/twin/{self.stage.name}/" in name

    def is_tagged(self, item: Any) -> bool:
        """Whether an item of a list carries the stage's tags."""
        found = tags(item)
        return found.get("project") == PROJECT and found.get("stage") == self.stage.name


def ownership(stage: Stage, kept_stacks: Iterable[str] = ()) -> Ownership:
    """Read the history of the stage's stacks; `kept_stacks` are the names of those that are to stay."""
    client = stage.client("cloudformation")
    stacks = [
        (found["StackName"], found["StackId"])
        for page in client.get_paginator("list_stacks").paginate()
        for found in page["StackSummaries"]
    ]
    own = Ownership(stage, neighbours(stage, {name for name, _ in stacks}))
    kept = tuple(kept_stacks)
    return Ownership(
        stage,
        own.neighbours,
        frozenset(form for name, id_ in stacks if _is_own_stack(own, name) for form in _history(client, id_)),
        frozenset(form for name in kept for form in held(stage, name)),
        kept,
    )


def neighbours(stage: Stage, stacks: Iterable[str]) -> tuple[str, ...]:
    """Prefixes of stages whose names continue this stage's, as far as their stacks tell."""
    pattern = re.compile(rf"({re.escape(stage.prefix)}-.+)-({'|'.join(PARTS)})")
    return tuple(sorted({found[1] for name in stacks if (found := pattern.fullmatch(name))}))


def forms(identifier: str) -> set[str]:
    """An id in the forms in which lists show it: whole, and without what an ARN puts around it."""
    plain = identifier.split("|")[0]
    found = {identifier, plain}
    if plain.startswith("arn:"):
        resource = plain.split(":", 5)[5]
        name = re.split("[:/]", resource, maxsplit=1)[-1]
        found |= {resource, name}
    if "://" in plain:
        # A queue's address ends in its name, as its ARN does.
        found.add(plain.rpartition("/")[2])
    found |= {VERSION.sub("", form) for form in found}
    return found - {""}


def identifiers(item: Any) -> set[str]:
    """Every id that an item of a list names, as `forms`."""
    if isinstance(item, str):
        return forms(item)
    if not isinstance(item, Mapping):
        return set()
    values = (value for key, value in item.items() if isinstance(value, str) and key.endswith(IDENTIFYING))
    return {form for value in values for form in forms(value)}


def tags(item: Any) -> dict[str, str]:
    """Tags of an item, however its service spells them."""
    if not isinstance(item, Mapping):
        return {}
    found = item.get("Tags") or item.get("TagSet") or item.get("tags") or ()
    if isinstance(found, Mapping):
        return dict(found)
    return {str(tag.get("Key", tag.get("key"))): str(tag.get("Value", tag.get("value", ""))) for tag in found}


def held(stage: Stage, stack: str) -> set[str]:
    """The stack and everything in it, as `forms`, with its groups' machines and its volumes' snapshots."""
    found = {stack}
    groups: list[str] = []
    volumes: list[str] = []
    for page in stage.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack):
        for resource in page["StackResourceSummaries"]:
            physical_id = resource.get("PhysicalResourceId") or ""
            found |= forms(physical_id)
            if resource["ResourceType"] == "AWS::AutoScaling::AutoScalingGroup" and physical_id:
                groups.append(physical_id)
            if resource["ResourceType"] == "AWS::EC2::Volume" and physical_id:
                volumes.append(physical_id)
    return found | snapshots_of(stage, volumes) | _machines(stage, groups)


def snapshots_of(stage: Stage, volumes: list[str]) -> set[str]:
    """Snapshots that were taken of volumes, which no stack lists as its own."""
    if not volumes:
        return set()
    pages = stage.client("ec2").get_paginator("describe_snapshots")
    wanted = [{"Name": "volume-id", "Values": volumes}]
    return {
        snapshot["SnapshotId"]
        for page in pages.paginate(OwnerIds=["self"], Filters=wanted)
        for snapshot in page["Snapshots"]
    }


def _starts(name: str, prefix: str, *, itself: bool = True) -> bool:
    segments = re.split("[:/]", name)
    return any(segment.startswith(f"{prefix}-") or (itself and segment == prefix) for segment in segments)


def _is_own_stack(own: Ownership, name: str) -> bool:
    return name in {own.stage.stack(part) for part in PARTS} or own.is_named(name)


def _history(client: Any, stack_id: str) -> set[str]:
    found: set[str] = set()
    try:
        for page in client.get_paginator("describe_stack_events").paginate(StackName=stack_id):
            for event in page["StackEvents"]:
                physical_id = event.get("PhysicalResourceId") or ""
                if physical_id and physical_id != event["StackId"]:
                    found |= forms(physical_id)
    except ClientError as error:
        # AWS forgets a deleted stack after 90 days, and may do so while it is being read.
        if "does not exist" not in str(error):
            raise
    return found


def _machines(stage: Stage, groups: list[str]) -> set[str]:
    """Machines of auto scaling groups and their volumes, which no stack lists as its own."""
    if not groups:
        return set()
    described = stage.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=groups)
    machines = [machine["InstanceId"] for group in described["AutoScalingGroups"] for machine in group["Instances"]]
    found = set(machines)
    for reservation in stage.client("ec2").describe_instances(InstanceIds=machines)["Reservations"] if machines else ():
        for machine in reservation["Instances"]:
            found |= {disk["Ebs"]["VolumeId"] for disk in machine.get("BlockDeviceMappings", ()) if "Ebs" in disk}
    return found
