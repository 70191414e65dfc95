"""Fault injection for CloudFormation, so that rollbacks and deletions can be tested.

A resource asks for a fault in its template: `Metadata: {"localcloud:fault": {"create": "reason"}}` fails its creation
with that reason, `{"delete": 2}` fails its first two deletions. AWS ignores this metadata.

MiniStack 1.5.33 has no fault injection, so `_provision_resource` and `_delete_resource` of its stack engine are
wrapped. AWS reports a resource that cannot be created or deleted as CREATE_FAILED or DELETE_FAILED and rolls back
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stack-failure-options.html). The wrappers can go when
MiniStack offers a way to make a resource fail.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import ministack.services.cloudformation as cloudformation
from ministack.services.cloudformation import stacks

FAULT = "localcloud:fault"


def install() -> None:
    """Wrap MiniStack's creation and deletion of a resource. Call it once, before the emulator serves."""
    provision, remove = stacks._provision_resource, stacks._delete_resource
    failed: Counter[str] = Counter()

    def provision_or_fail(resource_type: str, logical_id: str, properties: Any, stack: str) -> Any:
        """Create the resource as MiniStack does, or raise RuntimeError with the reason that its template asks for."""
        if reason := _requested_fault(stack, logical_id).get("create"):
            raise RuntimeError(reason)
        return provision(resource_type, logical_id, properties, stack)

    def delete_or_fail(
        resource_type: str, physical_id: str, properties: Any, stack: str | None = None, logical_id: str | None = None
    ) -> None:
        """Delete the resource as MiniStack does; the first deletions that its template asks for raise RuntimeError."""
        times = int(_requested_fault(stack, logical_id).get("delete", 0))
        if failed[physical_id] < times:
            failed[physical_id] += 1
            raise RuntimeError(f"{physical_id} is still in use")
        remove(resource_type, physical_id, properties, stack, logical_id)

    stacks._provision_resource = provision_or_fail
    stacks._delete_resource = delete_or_fail


def _requested_fault(stack: str | None, logical_id: str | None) -> dict[str, Any]:
    """The fault in the resource's metadata: any of `create` (reason) and `delete` (count), or empty."""
    template = (cloudformation._stacks.get(stack) or {}).get("_template") or {}
    resource = template.get("Resources", {}).get(logical_id) or {}
    found: dict[str, Any] = (resource.get("Metadata") or {}).get(FAULT) or {}
    return found
