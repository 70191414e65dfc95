"""Failed resources of a stage, read from CloudFormation's events."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile

from twin.target.cloudformation import CloudFormation, StackEvent
from twin.target.stage import Stage

CONSEQUENCE = re.compile(r"(?i)^resource (creation|update|deletion) cancell?ed|^The following resource\(s\) failed")
"""Reasons of resources that fail only because another one did."""
NOISE = re.compile(r"(?<!\s)\s*+\((RequestToken|Service):[^()]*+\)")


@dataclass(frozen=True)
class FailedResource:
    """One resource that CloudFormation could not create, update or delete, with its reason word for word."""

    stack: str
    type: str
    logical_id: str
    reason: str

    @property
    def key(self) -> tuple[str, str]:
        """Identity of the resource."""
        return self.stack, self.logical_id

    @property
    def plain_reason(self) -> str:
        """The reason without AWS's request ids."""
        return " ".join(NOISE.sub("", self.reason).replace("Resource handler returned message: ", "").split())

    @property
    def is_consequence(self) -> bool:
        """Whether it failed only because another one did."""
        return CONSEQUENCE.search(self.reason) is not None


def newest_events(stage: Stage) -> dict[str, str]:
    """Id of the newest event of each existing stack: where a deployment begins, independent of any clock.

    Raises:
        botocore's BotoCoreError and ClientError, when AWS refuses or cannot be reached.
    """
    cloudformation = CloudFormation(stage)
    newest = {stack: next(cloudformation.events(stack), None) for stack in stage.stacks}
    return {stack: event.id for stack, event in newest.items() if event is not None}


def failed_resources(stage: Stage, before: Mapping[str, str]) -> list[FailedResource]:
    """Resources of the stage's stacks that failed after the events `before`.

    Oldest first, each once, without those that failed only because another one did.

    Raises:
        botocore's BotoCoreError and ClientError, when AWS refuses or cannot be reached.
    """
    cloudformation = CloudFormation(stage)
    found: dict[tuple[str, str], FailedResource] = {}
    for stack in stage.stacks:
        for event in reversed(list(_until(cloudformation.events(stack), before.get(stack)))):
            if not event.status.endswith("_FAILED") or event.resource_type == "AWS::CloudFormation::Stack":
                continue
            failure = FailedResource(stack, event.resource_type, event.logical_id, event.reason)
            if not failure.is_consequence:
                found.setdefault(failure.key, failure)
    return list(found.values())


def _until(events: Iterable[StackEvent], known: str | None) -> Iterator[StackEvent]:
    return takewhile(lambda event: event.id != known, events)
