"""Deletes a stage's stacks: those that nobody uses first, again when AWS is not ready to let go."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from twin.inventory.ownership import PARTS, Ownership, neighbours
from twin.target.errors import TwinError
from twin.target.stage import Stage

Progress = Callable[[str], None]

DELETIONS = 4
"""How often the deletion of one stack is begun before it counts as failed."""
LONGEST_SECONDS = 3600.0
"""Fargate drains, endpoints and load balancers take minutes each; a private network's interfaces up to half an hour."""


@dataclass(frozen=True)
class Stack:
    """A stack that stands."""

    name: str
    status: str
    exports: tuple[str, ...]
    reason: str = ""

    @property
    def in_progress(self) -> bool:
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"


def standing(stage: Stage) -> dict[str, Stack]:
    """The stage's stacks by name, whatever their state.

    A stack that `STACKS` does not know counts only with the stage's tags: its name could be another stage's.
    """
    client = stage.client("cloudformation")
    found = [stack for page in client.get_paginator("describe_stacks").paginate() for stack in page["Stacks"]]
    own = Ownership(stage, neighbours(stage, {stack["StackName"] for stack in found}))
    parts = {stage.stack(part) for part in PARTS}
    return {
        stack["StackName"]: Stack(
            stack["StackName"],
            stack["StackStatus"],
            tuple(output["ExportName"] for output in stack.get("Outputs", ()) if output.get("ExportName")),
            stack.get("StackStatusReason", ""),
        )
        for stack in found
        if stack["StackStatus"] != "DELETE_COMPLETE"
        and (
            stack["StackName"] in parts or (own.is_named(stack["StackName"]) and own.is_tagged({"Tags": stack["Tags"]}))
        )
    }


def users(stage: Stage, stacks: Mapping[str, Stack]) -> dict[str, set[str]]:
    """By stack: which of `stacks` use it, by an export or by `Fn::GetStackOutput`.

    CloudFormation guards exports only: it would begin to delete a network under the service that runs in it.
    """
    client = stage.client("cloudformation")
    found = {
        name: {other for export in stack.exports for other in _imports(client, export) if other in stacks}
        for name, stack in stacks.items()
    }
    for name, stack in stacks.items():
        for used in outputs_read(_template(client, stack)) & set(stacks):
            found[used].add(name)
    return found


def outputs_read(template: Any) -> set[str]:
    """Names of the stacks whose outputs a template, or a part of one, reads."""
    if isinstance(template, list):
        return {name for part in template for name in outputs_read(part)}
    if not isinstance(template, Mapping):
        return set()
    read = template.get("Fn::GetStackOutput")
    own = {str(read["StackName"])} if isinstance(read, Mapping) and "StackName" in read else set()
    return own | {name for part in template.values() for name in outputs_read(part)}


def waves(used_by: Mapping[str, Collection[str]], going: Collection[str]) -> list[list[str]]:
    """`going` in the order of deletion: each wave holds what nobody left uses."""
    left, found = set(going), []
    while left:
        wave = sorted(name for name in left if not left & set(used_by.get(name, ()))) or sorted(left)
        found.append(wave)
        left -= set(wave)
    return found


def with_what_they_need(used_by: Mapping[str, Collection[str]], kept: Collection[str]) -> set[str]:
    """`kept` and, in turn, every stack that one of them uses."""
    found: set[str] = set()
    more = set(kept) & set(used_by)
    while more:
        found |= more
        more = {name for name, others in used_by.items() if found & set(others)} - found
    return found


@dataclass
class StackDeletion:
    """Deletes stacks until none of those that are to go stands.

    Attributes:
        unblock: called before a failed deletion is begun again, to take away what AWS left behind.
        poll_seconds: between two looks.
    """

    stage: Stage
    kept: Collection[str]
    unblock: Callable[[], None]
    progress: Progress
    poll_seconds: float

    def run(self) -> None:
        """Delete and wait; a stack that still stands after `DELETIONS` attempts is left for the list of survivors.

        Raises:
            TwinError: for a stack that is protected against deletion.
        """
        begun: Counter[str] = Counter()
        deadline = time.monotonic() + LONGEST_SECONDS
        seen: set[str] = set()
        while time.monotonic() < deadline:
            stacks = {name: stack for name, stack in standing(self.stage).items() if name not in self.kept}
            for name in sorted(seen - set(stacks)):
                self.progress(f"{name:<24} deleted")
            seen = set(stacks)
            if all(self._is_given_up(stack, begun) for stack in stacks.values()):
                return
            self._begin(stacks, begun)
            time.sleep(self.poll_seconds)

    @staticmethod
    def _is_given_up(stack: Stack, begun: Counter[str]) -> bool:
        return not stack.in_progress and begun[stack.name] >= DELETIONS

    def _begin(self, stacks: Mapping[str, Stack], begun: Counter[str]) -> None:
        used_by = users(self.stage, stacks)
        for name, stack in stacks.items():
            if stack.in_progress or used_by[name] or begun[name] >= DELETIONS:
                continue
            if stack.status == "DELETE_FAILED" and begun[name]:
                self.progress(f"{name:<24} is deleted again: {stack.reason}")
                self.unblock()
                time.sleep(self.poll_seconds * begun[name])
            begun[name] += 1
            self._delete(name)

    def _delete(self, name: str) -> None:
        try:
            self.stage.client("cloudformation").delete_stack(StackName=name)
        except ClientError as error:
            if "TerminationProtection" not in str(error):
                # Somebody imports from it since we looked, or it has begun to change: the next look tells.
                self.progress(f"{name:<24} {error.response['Error']['Message']}")
                return
            raise TwinError(
                f"Stack {name} is protected against deletion: run `aws cloudformation update-termination-protection "
                f"--no-enable-termination-protection --stack-name {name}`, then delete again."
            ) from None
        self.progress(f"{name:<24} deleting")


def _template(client: Any, stack: Stack) -> Any:
    if stack.status == "REVIEW_IN_PROGRESS":
        return {}
    body = client.get_template(StackName=stack.name)["TemplateBody"]
    return json.loads(body) if isinstance(body, str) else body


def _imports(client: Any, export: str) -> list[str]:
    try:
        pages = client.get_paginator("list_imports").paginate(ExportName=export)
        return [name for page in pages for name in page["Imports"]]
    except ClientError as error:
        if "not imported" not in str(error) and "does not exist" not in str(error):
            raise
        return []
