"""Stacks of a stage and the order of their deletion, which follows from who uses whose outputs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from infra.names import OPTIONAL_STACKS
from twin.inventory.ownership import ALL_STACKS, Ownership, longer_prefixes
from twin.target.cloudformation import CloudFormation, Stack
from twin.target.errors import TwinError
from twin.target.stage import Stage

KEEPABLE = OPTIONAL_STACKS
"""What `--keep` may name: stacks that hold data."""


def existing_stacks(stage: Stage) -> dict[str, Stack]:
    """The stage's stacks by name, whatever their state.

    A stack of an unknown kind counts only with the stage's name and tags: its name could be another stage's.
    """
    found = CloudFormation(stage).stacks()
    own = Ownership(stage, longer_prefixes(stage, {stack.name for stack in found}))
    known = {stage.stack(part) for part in ALL_STACKS}
    return {
        stack.name: stack
        for stack in found
        if (stack.name in known and not own.is_foreign({"Tags": stack.tags}))
        or (stack.name.startswith(f"{stage.prefix}-") and own.is_tagged({"Tags": stack.tags}))
    }


def refuse_protected(stacks: Iterable[Stack]) -> None:
    """Check that every stack may be deleted.

    Raises:
        TwinError: names one that is protected against deletion, and the command that lifts the protection.
    """
    for stack in stacks:
        if stack.protected:
            raise TwinError(
                f"Stack {stack.name} is protected against deletion, so nothing was removed: run `aws cloudformation "
                f"update-termination-protection --no-enable-termination-protection --stack-name {stack.name}`, then "
                "delete again."
            )


def kept_stacks(stage: Stage, keep: Collection[str]) -> tuple[str, ...]:
    """Full names of the stacks that `--keep` keeps: those that it names, and those that they use.

    Raises:
        TwinError: when `keep` names what cannot be kept.
    """
    unknown = sorted(set(keep) - set(KEEPABLE))
    if unknown:
        raise TwinError(f"--keep {unknown[0]}: only {', '.join(KEEPABLE)} can be kept.")
    if not keep:
        return ()
    stacks = existing_stacks(stage)
    return tuple(sorted(with_dependencies(users(stage, stacks), {stage.stack(name) for name in keep})))


def users(stage: Stage, stacks: Mapping[str, Stack]) -> dict[str, set[str]]:
    """By stack: which of `stacks` use it, by an export or by `Fn::GetStackOutput`.

    CloudFormation guards exports only: it would begin to delete a network under the service that runs in it.
    """
    cloudformation = CloudFormation(stage)
    found = {
        name: {other for export in stack.exports for other in cloudformation.importers(export) if other in stacks}
        for name, stack in stacks.items()
    }
    for name, stack in stacks.items():
        for used in stacks_read(cloudformation.template(stack)) & set(stacks):
            found[used].add(name)
    return found


def stacks_read(template: Any) -> set[str]:
    """Names of the stacks whose outputs a template, or a part of one, reads."""
    if isinstance(template, list):
        return {name for part in template for name in stacks_read(part)}
    if not isinstance(template, Mapping):
        return set()
    read = template.get("Fn::GetStackOutput")
    own = {str(read["StackName"])} if isinstance(read, Mapping) and "StackName" in read else set()
    return own | {name for part in template.values() for name in stacks_read(part)}


def deletion_waves(used_by: Mapping[str, Collection[str]], stacks: Collection[str]) -> list[list[str]]:
    """`stacks` in the order of deletion: no stack of a wave is used by a stack of the same or a later wave."""
    left, found = set(stacks), []
    while left:
        wave = sorted(name for name in left if not left & set(used_by.get(name, ()))) or sorted(left)
        found.append(wave)
        left -= set(wave)
    return found


def with_dependencies(used_by: Mapping[str, Collection[str]], stacks: Collection[str]) -> set[str]:
    """`stacks` and, in turn, every stack that one of them uses."""
    found: set[str] = set()
    more = set(stacks) & set(used_by)
    while more:
        found |= more
        more = {name for name, others in used_by.items() if found & set(others)} - found
    return found
