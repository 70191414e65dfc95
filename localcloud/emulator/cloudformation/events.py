"""Events of an update, as CloudFormation writes them: of what changes, and no others.

MiniStack 1.5.33 writes UPDATE_IN_PROGRESS and UPDATE_COMPLETE for every resource of a stack that is updated, and for a
new one too, so that the CDK counts more resources than change ("15/4"). CloudFormation acts on what the update changes,
and a new resource has CREATE_IN_PROGRESS and CREATE_COMPLETE
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-update-behaviors.html). This
module can go when MiniStack writes events so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ministack.services.cloudformation import stacks

BEGUN, DONE, FAILED = "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE", "UPDATE_FAILED"
OF_NEW = {BEGUN: "CREATE_IN_PROGRESS", DONE: "CREATE_COMPLETE", FAILED: "CREATE_FAILED"}
Place = tuple[str, str]
"""Name of the stack and logical id of the resource."""


class _Events:
    """Holds the first event of a resource back until it is known what happens to it."""

    def __init__(self, write: Callable[..., None]) -> None:
        self._write = write
        self._held: dict[Place, tuple[str, str, str, str]] = {}
        self._new: set[Place] = set()
        self._lock = threading.Lock()

    def add(self, stack_id: str, stack: str, logical_id: str, kind: str, status: str, *more: Any, **named: Any) -> None:
        """Write an event, unless it is one of a resource that does not change."""
        place = (stack, logical_id)
        event = (stack_id, stack, logical_id, kind)
        with self._lock:
            if kind == "AWS::CloudFormation::Stack" or status not in OF_NEW:
                self._write(*event, status, *more, **named)
            elif status == BEGUN and not more and not named:
                self._held[place] = event
            elif status == DONE and place in self._held:
                del self._held[place]
            else:
                if held := self._held.pop(place, None):
                    self._write(*held, BEGUN)
                if place in self._new:
                    self._new.discard(place)
                    status = OF_NEW[status]
                self._write(*event, status, *more, **named)

    def begins(self, stack: str, logical_id: str, *, new: bool) -> None:
        """Write the event that was held back: the resource is created or changed now."""
        with self._lock:
            if held := self._held.pop((stack, logical_id), None):
                self._write(*held, OF_NEW[BEGUN] if new else BEGUN)
                if new:
                    self._new.add((stack, logical_id))


def install() -> None:
    """Wrap MiniStack's writing of events. Call it once, before the emulator serves."""
    events = _Events(stacks._add_event)
    provision, update = stacks._provision_resource, stacks._update_resource

    def provision_and_tell(resource_type: str, logical_id: str, properties: Any, stack: str) -> Any:
        """Create the resource as MiniStack does."""
        events.begins(stack, logical_id, new=True)
        return provision(resource_type, logical_id, properties, stack)

    def update_and_tell(
        resource_type: str, physical_id: str, old: Any, new: Any, stack: str, logical_id: str | None = None, *rest: Any
    ) -> Any:
        """Update the resource as MiniStack does."""
        if old != new:
            events.begins(stack, logical_id or "", new=False)
        return update(resource_type, physical_id, old, new, stack, logical_id, *rest)

    stacks._add_event = events.add
    stacks._provision_resource = provision_and_tell
    stacks._update_resource = update_and_tell
