"""Failed resources of a stage, as CloudFormation's events tell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from botocore.exceptions import ClientError

from twin.target.stage import Stage

CONSEQUENCE = re.compile(r"(?i)^resource (creation|update|deletion) cancell?ed|^The following resource\(s\) failed")
"""What CloudFormation says of resources that fail only because another one did."""
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
        """What tells it from every other resource."""
        return self.stack, self.logical_id

    @property
    def plain_reason(self) -> str:
        """The reason without what only AWS's support can use."""
        return " ".join(NOISE.sub("", self.reason).replace("Resource handler returned message: ", "").split())

    @property
    def is_consequence(self) -> bool:
        """Whether it failed only because another one did."""
        return CONSEQUENCE.search(self.reason) is not None


def newest_events(stage: Stage) -> dict[str, str]:
    """Id of the newest event of each stack that stands: where a deployment begins, whatever the clocks say.

    Raises:
        botocore's BotoCoreError and ClientError, when AWS refuses or cannot be reached.
    """
    client = stage.client("cloudformation")
    newest = {stack: next(_events(client, stack), None) for stack in stage.stacks}
    return {stack: str(event["EventId"]) for stack, event in newest.items() if event is not None}


def failed_resources(stage: Stage, before: Mapping[str, str]) -> list[FailedResource]:
    """What failed in the stage's stacks after the events `before`, oldest first, each once, without mere consequences.

    Raises:
        botocore's BotoCoreError and ClientError, when AWS refuses or cannot be reached.
    """
    client = stage.client("cloudformation")
    found: dict[tuple[str, str], FailedResource] = {}
    for stack in stage.stacks:
        for event in reversed(list(_until(_events(client, stack), before.get(stack)))):
            if not event["ResourceStatus"].endswith("_FAILED") or event["ResourceType"] == "AWS::CloudFormation::Stack":
                continue
            reason = event.get("ResourceStatusReason", "")
            failure = FailedResource(stack, event["ResourceType"], event["LogicalResourceId"], reason)
            if not failure.is_consequence:
                found.setdefault(failure.key, failure)
    return list(found.values())


def _until(events: Iterator[dict[str, Any]], known: str | None) -> Iterator[dict[str, Any]]:
    return takewhile(lambda event: event["EventId"] != known, events)


def _events(client: Any, stack: str) -> Iterator[dict[str, Any]]:
    """Newest first."""
    try:
        for page in client.get_paginator("describe_stack_events").paginate(StackName=stack):
            yield from page["StackEvents"]
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
