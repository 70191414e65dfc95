"""Rules of CloudFormation's stacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ministack.services.cloudformation.handlers import _resolve_stack

from localcloud.emulator.rules.rule import Call, Checks, Values

DEAD = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED", "UPDATE_ROLLBACK_FAILED")
"""From the first three only a deletion leads on, from the last only ContinueUpdateRollback."""
GONE = "DELETE_COMPLETE"
IN_REVIEW = "REVIEW_IN_PROGRESS"
"""Of a stack of which there is nothing yet but its first change set."""


def _named(call: Call) -> Mapping[str, Any]:
    """The stack that a call names by its name or ARN; empty when there is none."""
    found: Mapping[str, Any] = _resolve_stack(str(call.parameters.get("StackName", ""))) or {}
    return found


def _not_updatable(call: Call) -> Values | None:
    if call.parameters.get("ChangeSetType", "UPDATE") != "UPDATE":
        return None
    stack = _named(call)
    status = str(stack.get("StackStatus", ""))
    if status == IN_REVIEW or not (status in DEAD or status.endswith("_IN_PROGRESS")):
        return None
    return {"arn": stack["StackId"], "status": status}


def _in_update(call: Call) -> Values | None:
    stack = _named(call)
    status = str(stack.get("StackStatus", ""))
    if not (status.startswith("UPDATE_") and status.endswith("_IN_PROGRESS")):
        return None
    return {"arn": stack["StackId"], "status": status}


def _exists(call: Call) -> Values | None:
    """Also one that was rolled back, which MiniStack would create anew."""
    stack = _named(call)
    return {"name": stack["StackName"]} if stack.get("StackStatus", GONE) != GONE else None


CHECKS: Checks = {
    "stack-exists": _exists,
    "stack-not-updatable": _not_updatable,
    "stack-in-update": _in_update,
}
