"""Deletion of a stage's stacks: those that no other stack uses first, and again when a deletion fails."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from twin.delete.stacks import existing_stacks, users
from twin.target.cloudformation import CloudFormation, Stack
from twin.target.progress import Progress
from twin.target.stage import Stage

STACK = "AWS::CloudFormation::Stack"
ATTEMPTS = 4
"""How often the deletion of one stack is begun before it counts as failed."""
EXPRESS: Any = {"Mode": "EXPRESS"}
"""CloudFormation is done once its calls are made, and AWS deletes on:
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-express-mode.html."""
HELD = re.compile(r"DependencyViolation|has dependencies|has a dependent object|CannotDeleteEntityWhileInUse")
"""Reasons that pass by themselves, when AWS has deleted what an earlier stack left to it."""
LONGEST_PAUSE = 12
"""Looks between two attempts: a minute on AWS."""
LONGEST_SECONDS = 3600.0
"""Fargate drains, endpoints and load balancers take minutes each; a private network's interfaces up to half an hour."""


@dataclass
class StackDeletion:
    """Deletes the stage's stacks but those in `kept`.

    Attributes:
        unblock: called before a failed deletion is begun again, to take away what AWS left behind.
        poll_seconds: between two looks.
    """

    stage: Stage
    kept: Collection[str]
    unblock: Callable[[], None]
    progress: Progress
    poll_seconds: float
    _held: set[str] = field(default_factory=set)
    """Stacks whose last deletion failed only because something of them was still in use; said once."""

    def run(self) -> None:
        """Delete and wait; a stack that still exists after `ATTEMPTS` attempts is left for the list of survivors.

        One that is only held by what AWS still deletes is tried until `LONGEST_SECONDS` are over.
        """
        begun: Counter[str] = Counter()
        clock = self.stage.clock
        deadline = clock.deadline(LONGEST_SECONDS)
        seen: set[str] = set()
        while not deadline.passed:
            stacks = {name: stack for name, stack in existing_stacks(self.stage).items() if name not in self.kept}
            for name in sorted(seen - set(stacks)):
                self.progress(f"{name:<24} deleted")
            seen = set(stacks)
            if all(self._is_given_up(stack, begun) for stack in stacks.values()):
                return
            self._begin(stacks, begun)
            clock.sleep(self.poll_seconds)

    def _is_given_up(self, stack: Stack, begun: Counter[str]) -> bool:
        if stack.in_progress or begun[stack.name] < ATTEMPTS:
            return False
        return stack.name not in self._held

    def _begin(self, stacks: Mapping[str, Stack], begun: Counter[str]) -> None:
        used_by = users(self.stage, stacks)
        for name, stack in stacks.items():
            if stack.in_progress or used_by[name] or self._is_given_up(stack, begun):
                continue
            if stack.status == "DELETE_FAILED" and begun[name]:
                reasons, waited = self._reasons(name), name in self._held
                self._hold(name, reasons)
                if self._is_given_up(stack, begun):
                    continue
                if name not in self._held:
                    self.progress(f"{name:<24} is deleted again: {' '.join((stack.reason, *reasons[:1]))}")
                elif not waited:
                    self.progress(f"{name:<24} waits, AWS still deletes what is in it: {reasons[0]}")
                self.unblock()
                self.stage.clock.sleep(self.poll_seconds * min(begun[name], LONGEST_PAUSE))
            begun[name] += 1
            self._delete(name)

    def _reasons(self, name: str) -> list[str]:
        """Why resources could not be deleted by the last attempt, the first of them first: it holds the others."""
        found = []
        for event in CloudFormation(self.stage).events(name):
            if event.resource_type == STACK and event.status == "DELETE_IN_PROGRESS":
                break
            if event.resource_type != STACK and event.status == "DELETE_FAILED":
                found.append(event.reason)
        return found[::-1]

    def _hold(self, name: str, reasons: Collection[str]) -> None:
        held = bool(reasons) and all(HELD.search(reason) for reason in reasons)
        (self._held.add if held else self._held.discard)(name)

    def _delete(self, name: str) -> None:
        try:
            self.stage.client("cloudformation").delete_stack(StackName=name, DeploymentConfig=EXPRESS)
        except ClientError as error:
            # Another stack imports from it by now, it has begun to change, or was protected since the run began: the
            # next round looks again.
            self.progress(f"{name:<24} {error.response['Error']['Message']}")
            return
        if name not in self._held:
            self.progress(f"{name:<24} deleting")
