"""Makes CloudFormation fail at a resource of one's choice, so that rollbacks and deletions can be tested.

A resource asks for it in its template: `Metadata: {"localcloud:fault": {"create": "reason"}}` fails its creation, and
`{"delete": 2}` fails its first two deletions. Metadata mean nothing to AWS.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import ministack.services.cloudformation as cloudformation
from ministack.services.cloudformation import stacks

FAULT = "localcloud:fault"


def install() -> None:
    """Look at each resource's metadata before it is created or deleted."""
    provision, remove = stacks._provision_resource, stacks._delete_resource
    failed: Counter[str] = Counter()

    def provision_or_fail(resource_type: str, logical_id: str, properties: Any, stack: str) -> Any:
        if reason := _wanted(stack, logical_id).get("create"):
            raise RuntimeError(reason)
        return provision(resource_type, logical_id, properties, stack)

    def delete_or_fail(
        resource_type: str, physical_id: str, properties: Any, stack: str | None = None, logical_id: str | None = None
    ) -> None:
        times = int(_wanted(stack, logical_id).get("delete", 0))
        if failed[physical_id] < times:
            failed[physical_id] += 1
            raise RuntimeError(f"{physical_id} is still in use")
        remove(resource_type, physical_id, properties, stack, logical_id)

    stacks._provision_resource = provision_or_fail
    stacks._delete_resource = delete_or_fail


def _wanted(stack: str | None, logical_id: str | None) -> dict[str, Any]:
    template = (cloudformation._stacks.get(stack) or {}).get("_template") or {}
    resource = template.get("Resources", {}).get(logical_id) or {}
    found: dict[str, Any] = (resource.get("Metadata") or {}).get(FAULT) or {}
    return found
