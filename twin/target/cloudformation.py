"""A typed reader of CloudFormation: stacks, their resources, events, templates and imports."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from twin.target.stage import Stage

REVIEW = "REVIEW_IN_PROGRESS"
"""Status of a stack that has a change set and nothing else: no operation is running."""
DELETED = "DELETE_COMPLETE"


@dataclass(frozen=True)
class Stack:
    """An existing stack.

    Attributes:
        reason: why the stack is in this status, where CloudFormation says so.
        outputs: value by key.
        exports: names under which other stacks may import outputs.
        tags: value by key.
        protected: whether CloudFormation refuses to delete it.
    """

    name: str
    status: str
    reason: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)
    exports: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    protected: bool = False

    @property
    def in_progress(self) -> bool:
        """Whether an operation on the stack is running."""
        return self.status.endswith("_IN_PROGRESS") and self.status != REVIEW


@dataclass(frozen=True)
class StackRecord:
    """A stack that exists or was deleted within the last 90 days."""

    name: str
    id: str
    status: str
    changed_at: datetime

    @property
    def is_deleted(self) -> bool:
        """Whether the stack is gone."""
        return self.status == DELETED


@dataclass(frozen=True)
class Resource:
    """A resource of a stack; without a physical id it was never created."""

    type: str
    logical_id: str
    physical_id: str
    status: str


@dataclass(frozen=True)
class StackEvent:
    """One change of a stack or of a resource in it."""

    id: str
    stack_id: str
    resource_type: str
    logical_id: str
    physical_id: str
    status: str
    reason: str


class CloudFormation:
    """CloudFormation of a stage's account and region.

    Every method raises botocore's ClientError or BotoCoreError when AWS refuses or cannot be reached.
    """

    def __init__(self, stage: Stage, **config: Any) -> None:
        """
        Args:
            config: options of the boto3 client, see `Stage.client`.
        """
        self._stage = stage
        self._client = stage.client("cloudformation", **config)

    def stack(self, name: str) -> Stack | None:
        """The stack called `name`, or None when there is none."""
        try:
            return _stack(self._client.describe_stacks(StackName=name)["Stacks"][0])
        except ClientError as error:
            if not _is_absent(error):
                raise
            return None

    def stacks(self) -> list[Stack]:
        """Every existing stack of the account and region."""
        found = (_stack(each) for each in self._pages("describe_stacks", "Stacks"))
        return [stack for stack in found if stack.status != DELETED]

    def stage_stacks(self) -> dict[str, Stack]:
        """Those of `Stage.stacks` that exist, by name, in the order of their deployment."""
        found = {name: self.stack(name) for name in self._stage.stacks}
        return {name: stack for name, stack in found.items() if stack is not None}

    def records(self) -> Iterator[StackRecord]:
        """Every stack that exists or was deleted within the last 90 days."""
        for each in self._pages("list_stacks", "StackSummaries"):
            changed = each.get("LastUpdatedTime") or each["CreationTime"]
            yield StackRecord(each["StackName"], each["StackId"], each["StackStatus"], changed)

    def resources(self, stack: str) -> Iterator[Resource]:
        """Every resource of the stack called `stack`."""
        for each in self._pages("list_stack_resources", "StackResourceSummaries", StackName=stack):
            physical_id = each.get("PhysicalResourceId") or ""
            yield Resource(each["ResourceType"], each["LogicalResourceId"], physical_id, each["ResourceStatus"])

    def physical_id(self, stack: str, logical_id: str) -> str:
        """Physical id of one resource; empty when it was never created."""
        described = self._client.describe_stack_resource(StackName=stack, LogicalResourceId=logical_id)
        return str(described["StackResourceDetail"].get("PhysicalResourceId") or "")

    def events(self, stack: str) -> Iterator[StackEvent]:
        """Events of a stack (name or id), newest first; none of a stack that CloudFormation does not know."""
        try:
            for each in self._pages("describe_stack_events", "StackEvents", StackName=stack):
                yield StackEvent(
                    each["EventId"],
                    each["StackId"],
                    each["ResourceType"],
                    each["LogicalResourceId"],
                    each.get("PhysicalResourceId") or "",
                    each["ResourceStatus"],
                    each.get("ResourceStatusReason", ""),
                )
        except ClientError as error:
            # A stack that was deleted 90 days ago may be forgotten between two pages.
            if not _is_absent(error):
                raise

    def template(self, stack: Stack) -> Any:
        """The template of a stack as JSON has it; empty while the stack holds only a change set."""
        if stack.status == REVIEW:
            return {}
        body = self._client.get_template(StackName=stack.name)["TemplateBody"]
        return json.loads(body) if isinstance(body, str) else body

    def importers(self, export: str) -> list[str]:
        """Names of the stacks that import an export."""
        try:
            return [str(name) for name in self._pages("list_imports", "Imports", ExportName=export)]
        except ClientError as error:
            if not _is_absent(error) and "not imported" not in str(error):
                raise
            return []

    def _pages(self, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
        for page in self._client.get_paginator(operation).paginate(**arguments):
            yield from page[key]


def _stack(described: Mapping[str, Any]) -> Stack:
    outputs = described.get("Outputs", ())
    return Stack(
        name=described["StackName"],
        status=described["StackStatus"],
        reason=described.get("StackStatusReason", ""),
        outputs={each["OutputKey"]: each["OutputValue"] for each in outputs},
        exports=tuple(each["ExportName"] for each in outputs if each.get("ExportName")),
        tags={each["Key"]: each["Value"] for each in described.get("Tags", ())},
        protected=bool(described.get("EnableTerminationProtection")),
    )


def _is_absent(error: ClientError) -> bool:
    """CloudFormation answers a question about an unknown stack or export with a ValidationError."""
    return "does not exist" in str(error)
