"""`twin delete --dry-run`: every removal of a deletion, in its order."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from twin.delete.leftovers import COMPONENTS, LEFTOVERS
from twin.delete.stacks import deletion_waves, existing_stacks, kept_stacks, refuse_protected, users
from twin.inventory.identifiers import id_aliases
from twin.inventory.ownership import read_ownership
from twin.target.cloudformation import CloudFormation
from twin.target.stage import Stage


@dataclass(frozen=True)
class Removal:
    """One removal of a deletion."""

    step: str
    kind: str
    name: str


def removals(stage: Stage, *, keep: Collection[str] = ()) -> list[Removal]:
    """What a deletion would remove, in its order; changes nothing.

    Raises:
        TwinError: when `keep` names what cannot be kept, or a stack is protected against deletion.
    """
    kept = kept_stacks(stage, keep)
    own = read_ownership(stage, kept)
    stacks = {name: stack for name, stack in existing_stacks(stage).items() if name not in kept}
    refuse_protected(stacks.values())
    cloudformation = CloudFormation(stage)
    found = [Removal("first", COMPONENTS.kind, name) for name in COMPONENTS.find(own)]
    found += [Removal("emptied", each.kind, name) for each in LEFTOVERS if each.empty for name in each.find(own)]
    listed = {alias for removal in found for alias in id_aliases(removal.name)}
    for wave in deletion_waves(users(stage, stacks), stacks):
        for name in wave:
            found.append(Removal("stack", "stack", name))
            for resource in cloudformation.resources(name):
                identifier = resource.physical_id or resource.logical_id
                listed |= id_aliases(identifier)
                found.append(Removal(name, resource.type, identifier))
    found += [
        Removal("left over", each.kind, name)
        for each in LEFTOVERS
        for name in each.find(own)
        if not id_aliases(name) & listed
    ]
    return found
