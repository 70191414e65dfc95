"""Deletion of CloudFormation stacks in order, each complete before the next."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import ClientError

from services.guard.clock import REAL, Clock

logger = logging.getLogger(__name__)

POLL_SECONDS = 2.0
# SageMaker refuses to delete an inference component while it is created, woken or scaled, which lasts minutes:
# https://github.com/huggingface/skills/blob/main/skills/hf-cloud-sagemaker-production-defaults/SKILL.md
RETRY_SECONDS = 60.0
# Kept back from the Lambda's time, to raise the error before Lambda ends the invocation.
RESERVE_SECONDS = 10.0


class StackDeletionError(RuntimeError):
    """A stack could not be deleted within this invocation; the next invocation continues."""


def delete_stacks(
    cloudformation: Any,
    names: Sequence[str],
    seconds: float,
    on_start: Callable[[str], None] | None = None,
    clock: Clock = REAL,
) -> dict[str, list[str]]:
    """Delete stacks in order, because a stack may import from a later one.

    Stacks that do not exist (any more) are skipped, so that the call can be repeated. CloudFormation deletes no stack
    in an update, so its end is waited for. A deletion that fails is tried again every minute: what refuses may be a
    model that is just being woken or scaled.

    Args:
        cloudformation: client of `cloudformation`.
        names: stacks, in the order of their deletion.
        seconds: time that the invocation has left.
        on_start: called with the name of each stack whose deletion was not under way before this call.
        clock: that counts the seconds.

    Returns:
        `{"deleted": [...], "absent": [...]}`, stack names.

    Raises:
        StackDeletionError: an update or a failing deletion still goes on at the end of this invocation, or a deletion
            needs longer than it has.
    """
    deadline = clock.now() + seconds - RESERVE_SECONDS
    deleted: list[str] = []
    absent: list[str] = []
    for name in names:
        stack = _out_of_update(cloudformation, name, deadline, clock)
        if stack is None or stack["StackStatus"] == "DELETE_COMPLETE":
            absent.append(name)
            continue
        logger.info("deleting stack %s", name)
        cloudformation.delete_stack(StackName=name)
        if on_start is not None and stack["StackStatus"] != "DELETE_IN_PROGRESS":
            on_start(name)
        _wait(cloudformation, name, str(stack["StackId"]), deadline, clock)
        deleted.append(name)
    return {"deleted": deleted, "absent": absent}


def _out_of_update(cloudformation: Any, name: str, deadline: float, clock: Clock) -> dict[str, Any] | None:
    """The stack once no update of it goes on any more, a roll-back included; None when there is none."""
    while (stack := _describe(cloudformation, name)) is not None:
        status = str(stack["StackStatus"])
        if not (status.startswith("UPDATE_") and status.endswith("_IN_PROGRESS")):
            break
        if clock.now() + POLL_SECONDS > deadline:
            raise StackDeletionError(f"stack {name} is still {status}; the next invocation continues")
        clock.sleep(POLL_SECONDS)
    return stack


def _describe(cloudformation: Any, name_or_id: str) -> dict[str, Any] | None:
    try:
        stacks = cloudformation.describe_stacks(StackName=name_or_id)["Stacks"]
    except ClientError as error:
        # CloudFormation has no error code for a stack that does not exist.
        if "does not exist" in error.response["Error"].get("Message", ""):
            return None
        raise
    return dict(stacks[0]) if stacks else None


def _wait(cloudformation: Any, name: str, stack_id: str, deadline: float, clock: Clock) -> None:
    """Wait for the deletion, by id: a deleted stack can be described by its id only."""
    while True:
        stack = _describe(cloudformation, stack_id)
        status = "DELETE_COMPLETE" if stack is None else str(stack["StackStatus"])
        if status == "DELETE_COMPLETE":
            return
        failed = status == "DELETE_FAILED"
        pause = RETRY_SECONDS if failed else POLL_SECONDS
        if clock.now() + pause > deadline:
            reason = f": {(stack or {}).get('StackStatusReason', '')}" if failed else ""
            raise StackDeletionError(f"stack {name} is still {status}{reason}; the next invocation continues")
        clock.sleep(pause)
        if failed:
            logger.warning("deleting stack %s again: %s", name, (stack or {}).get("StackStatusReason", ""))
            cloudformation.delete_stack(StackName=stack_id)
