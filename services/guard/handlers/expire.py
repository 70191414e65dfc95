"""Deletion of the stacks of a stage that has expired."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import boto3

from services.common.lambda_runtime import LambdaContext, once_per_process, remaining_seconds, start
from services.guard.settings import ExpireSettings
from services.guard.stack_deletion import delete_stacks

logger = logging.getLogger(__name__)


def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, list[str]]:
    """Delete the stacks in order; the call can be repeated.

    Returns:
        `{"deleted": [...], "absent": [...]}`, stack names.

    Raises:
        StackDeletionError: a deletion still fails at the end of this invocation, or needs longer than it has.
    """
    return _expiry().delete(remaining_seconds(context))


@dataclass(frozen=True)
class StageExpiry:
    """The deletion of a stage.

    Attributes:
        settings: of the function.
        cloudformation: client of `cloudformation`.
    """

    settings: ExpireSettings
    cloudformation: Any

    def delete(self, seconds: float) -> dict[str, list[str]]:
        """Delete the stacks within `seconds`; see `handler`."""
        logger.info("stage %s has expired", self.settings.stage)
        return delete_stacks(self.cloudformation, self.settings.stacks, seconds)


@once_per_process
def _expiry() -> StageExpiry:
    return StageExpiry(start(ExpireSettings), boto3.client("cloudformation"))
