"""The end of a stage's time: its model is parked first, and its stack deleted later."""

from __future__ import annotations

import logging
from typing import Any

from services.common.lambda_runtime import LambdaContext, once_per_process, remaining_seconds, start
from services.guard.model_stop import Done, ModelStop
from services.guard.settings import ExpireSettings

logger = logging.getLogger(__name__)

PARK, DELETE = "park", "delete"


def handler(event: dict[str, Any], context: LambdaContext) -> Done:
    """Do what the schedule's input asks for, `{"action": "park"}` or `{"action": "delete"}`; the call can be repeated.

    Returns:
        `{"parked": [...], "deleted": [...], "absent": [...]}`: names of components, and of stacks. A model that cannot
        be parked is deleted.

    Raises:
        ValueError: the event names no such action.
        StackDeletionError: a deletion still fails at the end of this invocation, or needs longer than it has.
    """
    return act(_model_stop(), event, remaining_seconds(context))


def act(stop: ModelStop, event: dict[str, Any], seconds: float) -> Done:
    """Do within `seconds` what the event asks for; see `handler`."""
    action = event.get("action")
    if action not in (PARK, DELETE):
        raise ValueError(f'The event must be {{"action": "{PARK}"}} or {{"action": "{DELETE}"}}, not {event!r}.')
    logger.info("end of the time of stage %s: %s", stop.settings.stage, action)
    return stop.park(seconds) if action == PARK else stop.delete(seconds)


@once_per_process
def _model_stop() -> ModelStop:
    return ModelStop.of(start(ExpireSettings))
