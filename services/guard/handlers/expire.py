"""Deletes the stacks of a stage whose time is over."""

from __future__ import annotations

import functools
import logging
from typing import Any

from services.common.lambda_context import LambdaContext
from services.common.logging import configure_logging
from services.guard import stack_deletion
from services.guard.settings import ExpireSettings

logger = logging.getLogger(__name__)


def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, list[str]]:
    """Delete the stacks in order; the call can be repeated.

    Returns:
        `{"deleted": [...], "absent": [...]}`, stack names.

    Raises:
        StackDeletionError: a deletion failed, or needs longer than this invocation has.
    """
    settings = _start()
    logger.info("the time of stage %s is over", settings.stage)
    return stack_deletion.delete(settings.stacks, context.get_remaining_time_in_millis() / 1000)


@functools.cache
def _start() -> ExpireSettings:
    configure_logging()
    return ExpireSettings.load()
