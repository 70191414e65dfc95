"""Deletion of a stage's stacks: those that no other stack uses first, and again when a deletion fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from botocore.exceptions import ClientError

from twin.delete.stacks import existing_stacks, users
from twin.target.cloudformation import Stack
from twin.target.progress import Progress
from twin.target.stage import Stage

ATTEMPTS = 4
"""How often the deletion of one stack is begun before it counts as failed."""
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

    def run(self) -> None:
        """Delete and wait; a stack that still exists after `ATTEMPTS` attempts is left for the list of survivors."""
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

    @staticmethod
    def _is_given_up(stack: Stack, begun: Counter[str]) -> bool:
        return not stack.in_progress and begun[stack.name] >= ATTEMPTS

    def _begin(self, stacks: Mapping[str, Stack], begun: Counter[str]) -> None:
        used_by = users(self.stage, stacks)
        for name, stack in stacks.items():
            if stack.in_progress or used_by[name] or begun[name] >= ATTEMPTS:
                continue
            if stack.status == "DELETE_FAILED" and begun[name]:
                self.progress(f"{name:<24} is deleted again: {stack.reason}")
                self.unblock()
                self.stage.clock.sleep(self.poll_seconds * begun[name])
            begun[name] += 1
            self._delete(name)

    def _delete(self, name: str) -> None:
        try:
            self.stage.client("cloudformation").delete_stack(StackName=name)
        except ClientError as error:
            # Another stack imports from it by now, it has begun to change, or was protected since the run began: the
            # next round looks again.
            self.progress(f"{name:<24} {error.response['Error']['Message']}")
            return
        self.progress(f"{name:<24} deleting")
