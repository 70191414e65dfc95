"""Deletes the stacks of a stage whose time is over."""

from __future__ import annotations

import functools
import logging
import time
from typing import Any, Protocol

import boto3
from botocore.exceptions import ClientError

from services.common.logging import configure_logging
from services.evaluation.settings import ExpireSettings

logger = logging.getLogger(__name__)

POLL_SECONDS = 2.0
# Left for the answer when the Lambda's time runs out.
RESERVE_SECONDS = 10.0


class StackDeletionError(RuntimeError):
    """A stack could not be deleted, or not within this invocation; the next invocation continues."""


class LambdaContext(Protocol):
    """The part of Lambda's context object that is used here."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""
        ...


def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, list[str]]:
    """Delete the stacks in order, each completely before the next, because a stack may import from a later one.

    Stacks that do not exist (any more) are passed over, so that the call can be repeated.

    Returns:
        `{"deleted": [...], "absent": [...]}`, stack names.

    Raises:
        StackDeletionError: a deletion failed, or needs longer than this invocation has.
    """
    settings = _start()
    cloudformation = boto3.client("cloudformation")
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - RESERVE_SECONDS
    deleted: list[str] = []
    absent: list[str] = []
    for name in settings.stacks:
        stack_id = _stack_id(cloudformation, name)
        if stack_id is None:
            absent.append(name)
            continue
        logger.info("deleting stack %s of stage %s", name, settings.stage)
        cloudformation.delete_stack(StackName=name)
        _wait(cloudformation, name, stack_id, deadline)
        deleted.append(name)
    return {"deleted": deleted, "absent": absent}


@functools.cache
def _start() -> ExpireSettings:
    configure_logging()
    return ExpireSettings.load()


def _describe(cloudformation: Any, name_or_id: str) -> dict[str, Any] | None:
    try:
        stacks = cloudformation.describe_stacks(StackName=name_or_id)["Stacks"]
    except ClientError as error:
        # CloudFormation has no code of its own for a stack that does not exist.
        if "does not exist" in error.response["Error"].get("Message", ""):
            return None
        raise
    return dict(stacks[0]) if stacks else None


def _stack_id(cloudformation: Any, name: str) -> str | None:
    stack = _describe(cloudformation, name)
    return None if stack is None or stack["StackStatus"] == "DELETE_COMPLETE" else str(stack["StackId"])


def _wait(cloudformation: Any, name: str, stack_id: str, deadline: float) -> None:
    """Wait for the deletion, by id: a deleted stack can be described by its id only."""
    while True:
        stack = _describe(cloudformation, stack_id)
        status = "DELETE_COMPLETE" if stack is None else str(stack["StackStatus"])
        if status == "DELETE_COMPLETE":
            return
        if status == "DELETE_FAILED":
            raise StackDeletionError(f"stack {name} could not be deleted: {(stack or {}).get('StackStatusReason', '')}")
        if time.monotonic() + POLL_SECONDS > deadline:
            raise StackDeletionError(f"stack {name} is still {status}; the next invocation continues")
        time.sleep(POLL_SECONDS)
