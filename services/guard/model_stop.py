"""The ways to stop paying for a stage's model: it is parked, or its stack is deleted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3

from services.guard import parking
from services.guard.clock import REAL, Clock
from services.guard.settings import ExpireSettings
from services.guard.stack_deletion import delete_stacks

logger = logging.getLogger(__name__)

REAL_TIME = "a real-time endpoint cannot be parked"
Done = dict[str, list[str]]
"""Names by what became of them: `parked` (components), `deleted` and `absent` (stacks)."""


def _ignore(_stack: str, _reason: str) -> None:
    """Announce nothing."""


@dataclass(frozen=True)
class ModelStop:
    """Parking and deletion of one stage's model.

    Attributes:
        settings: of the function.
        cloudformation: client of `cloudformation`.
        sagemaker: client of `sagemaker`.
        scaling: client of `application-autoscaling`.
        clock: that counts the seconds of an invocation.
    """

    settings: ExpireSettings
    cloudformation: Any
    sagemaker: Any
    scaling: Any
    clock: Clock = REAL

    @classmethod
    def of(cls, settings: ExpireSettings) -> ModelStop:
        """With clients of this process's environment."""
        return cls(
            settings, boto3.client("cloudformation"), boto3.client("sagemaker"), boto3.client("application-autoscaling")
        )

    def park(self, seconds: float, on_deletion: Callable[[str, str], None] = _ignore) -> Done:
        """Park the model; delete its stack where that is impossible. The call can be repeated.

        Args:
            seconds: time that the invocation has left.
            on_deletion: called with a stack whose deletion begins, and why the model was not parked.

        Raises:
            StackDeletionError: as `delete` does.
        """
        started = self.clock.now()
        reason = self._park(min(seconds, parking.PARKING_SECONDS))
        if not reason:
            return {"parked": [str(self.settings.component_name)], "deleted": [], "absent": []}
        logger.warning("the model is deleted instead of parked: %s", reason)
        left = seconds - (self.clock.now() - started)
        return self.delete(left, lambda stack: on_deletion(stack, reason))

    def delete(self, seconds: float, on_start: Callable[[str], None] | None = None) -> Done:
        """Delete the stacks within `seconds`; the call can be repeated.

        Raises:
            StackDeletionError: a deletion still fails at the end of this invocation, or needs longer than it has.
        """
        done = delete_stacks(self.cloudformation, self.settings.stacks, seconds, on_start, self.clock)
        return {"parked": [], **done}

    def _park(self, seconds: float) -> str:
        """Why the model could not be parked; nothing when it is."""
        component = self.settings.component_name
        if component is None:
            return REAL_TIME
        try:
            parking.park(self.sagemaker, self.scaling, component, seconds, self.clock)
        except parking.ParkingError as error:
            return str(error)
        logger.info("%s is parked", component)
        return ""
