"""Which resources belong to a stage: by its tags, by the history of its stacks, by its names.

Names alone do not reach everything: CloudFormation names secrets and layers after their logical id, without the stack.
The history of the stacks holds every physical id that they ever had, also of stacks deleted within the last 90 days.

A name alone proves little: another stage's name may go on where this one's ends (`dev-eu` beside `dev`), and anything
in the account may be called `twin-dev-photos`. So a tag that names another stage or project beats a name, and a name
counts only in the forms that the stage's stacks and programs make.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

from infra.names import OPTIONAL_STACKS, PROJECT, STACKS, Names, last_good_parameter, parameter_path
from twin.inventory.identifiers import id_aliases, ids_of, tags_of
from twin.target.cloudformation import CloudFormation, StackRecord
from twin.target.stage import Stage

ALL_STACKS = (*STACKS, *OPTIONAL_STACKS)
GROUP = "AWS::AutoScaling::AutoScalingGroup"
VOLUME = "AWS::EC2::Volume"
ABSENT = ("NotFound", "NoSuch", "Could not find", "does not exist", "No scalable target", "not found")
"""What services answer when a resource is already gone."""


@dataclass(frozen=True)
class Ownership:
    """What is known of a stage's resources.

    Attributes:
        longer_prefixes: prefixes of other stages whose names start with this stage's name (`dev-2` beside `dev`).
        history: aliases of the physical ids of everything that the stage's stacks ever held.
        foreign: aliases of the ids of everything whose tags name another stage or project.
        kept: aliases of the physical ids of what is to stay.
        kept_stacks: names of the stacks that are to stay.
    """

    stage: Stage
    longer_prefixes: tuple[str, ...] = ()
    history: frozenset[str] = frozenset()
    foreign: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()
    kept_stacks: tuple[str, ...] = ()

    def owns(self, name: str, item: Any = None) -> bool:
        """Whether a resource, as its service lists it, is the stage's and not to be kept."""
        known = id_aliases(name) | ids_of(item)
        if known & self.kept or any(_has_prefix(name, stack) for stack in self.kept_stacks):
            return False
        if self.is_foreign(item):
            return False
        if self.is_tagged(item) or known & self.history:
            return True
        return not known & self.foreign and self.is_named(name)

    def owns_bucket(self, name: str) -> bool:
        """Whether a bucket is the stage's and not to be kept.

        The list of buckets has no tags, the tagging API knows one region only, and what a wrong guess empties does not
        come back: the tags of one whose name fits are read from the bucket itself.
        """
        return self.owns(name) and self.owns(name, {"TagSet": _bucket_tags(self.stage, name)})

    def is_named(self, name: str) -> bool:
        """Whether a name, ARN, URL or path is, or holds, a name that the stage makes."""
        if name == last_good_parameter(self.stage.name):
            return True
        if name.startswith("/") and not name.startswith(("/aws/", parameter_path(self.stage.name))):
            return False
        if any(_has_prefix(name, prefix, or_equals=False) for prefix in self.longer_prefixes):
            return False
        return parameter_path(self.stage.name) in name or any(
            map(made_names(self.stage.prefix).fullmatch, _segments(name))
        )

    def is_tagged(self, item: Any) -> bool:
        """Whether an item of a list carries the stage's tags."""
        found = tags_of(item)
        return found.get("project") == PROJECT and found.get("stage") == self.stage.name

    def is_foreign(self, item: Any) -> bool:
        """Whether the tags of an item of a list name another stage or another project."""
        found = tags_of(item)
        return found.get("project", PROJECT) != PROJECT or found.get("stage", self.stage.name) != self.stage.name

    def is_stack(self, name: str) -> bool:
        """Whether a stack is, by its name, one of the stage's."""
        return name in {self.stage.stack(part) for part in ALL_STACKS}


def is_absent(error: ClientError) -> bool:
    """Whether an error says that the resource is gone already."""
    return any(word in str(error) for word in ABSENT)


def read_ownership(stage: Stage, kept_stacks: Iterable[str] = ()) -> Ownership:
    """Read the history of the stage's stacks; `kept_stacks` are the names of those that are to stay."""
    cloudformation = CloudFormation(stage)
    records = list(cloudformation.records())
    own = Ownership(stage, longer_prefixes(stage, {record.name for record in records}))
    kept = tuple(kept_stacks)
    return replace(
        own,
        history=frozenset(
            alias for record in records if own.is_stack(record.name) for alias in _ever_held(cloudformation, record)
        ),
        foreign=frozenset(_tagged_otherwise(own)),
        kept=frozenset(alias for name in kept for alias in owned_ids(stage, name)),
        kept_stacks=kept,
    )


@cache
def made_names(prefix: str) -> re.Pattern[str]:
    """Names that the stacks and programs of a stage give, as a pattern for a whole name.

    CloudFormation puts the logical id and random characters after the stack's name. The CDK's logical ids begin with a
    capital letter and end in eight characters of a hash; in bucket names they are lower case.
    """
    stacks = "|".join(ALL_STACKS)
    generated = rf"(?:{stacks})(?:-[A-Z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)?|-[a-z0-9]*[0-9a-f]{{8}}-[a-z0-9]{{11,13}})?"
    fixed = "|".join(re.escape(name) for name in Names("").fixed())
    return re.compile(rf"{re.escape(prefix)}(?:-{generated}|{fixed}|-weights-\d{{12}}-[a-z0-9-]+)")


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
    described = stage.client("autoscaling").get_paginator("describe_auto_scaling_groups")
    machines = [
        machine["InstanceId"]
        for page in described.paginate(AutoScalingGroupNames=groups)
        for group in page["AutoScalingGroups"]
        for machine in group["Instances"]
    ]
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


def _tagged_otherwise(own: Ownership) -> Iterator[str]:
    """Aliases of everything in the region whose tags name another stage or project."""
    pages = own.stage.client("resourcegroupstaggingapi").get_paginator("get_resources")
    for key in ("project", "stage"):
        for page in pages.paginate(TagFilters=[{"Key": key}]):
            for resource in page["ResourceTagMappingList"]:
                if own.is_foreign(resource):
                    yield from id_aliases(resource["ResourceARN"])


def _bucket_tags(stage: Stage, name: str) -> list[dict[str, str]]:
    try:
        return list(stage.client("s3").get_bucket_tagging(Bucket=name)["TagSet"])
    except ClientError as error:
        # Without tags (NoSuchTagSet), or gone since it was listed.
        if not is_absent(error):
            raise
        return []


def _segments(name: str) -> list[str]:
    return re.split("[:/]", name)


def _has_prefix(name: str, prefix: str, *, or_equals: bool = True) -> bool:
    return any(part.startswith(f"{prefix}-") or (or_equals and part == prefix) for part in _segments(name))
