"""Work that a loop does again and again and that may fail: a failure is said once, and does not end the loop."""

from __future__ import annotations

import logging
from collections.abc import Callable

logger = logging.getLogger(__name__)


class Attempts:
    """Makes attempts, each under a name, and remembers which of them fail.

    Args:
        errors: exceptions of the work that count as a failure; OSError (a full disk, no more processes) always does.
    """

    def __init__(self, *errors: type[Exception]) -> None:
        self._errors: tuple[type[Exception], ...] = (OSError, *errors)
        self._failing: dict[str, str] = {}

    def make(self, name: str, work: Callable[[], object]) -> bool:
        """Whether `work` succeeded. A new failure and the first success after it are logged, repetitions are not."""
        try:
            work()
        except self._errors as error:
            if self._failing.get(name) != str(error):
                logger.warning("%s failed and is tried again: %s", name, error)
            self._failing[name] = str(error)
            return False
        if (problem := self._failing.pop(name, None)) is not None:
            # Names the failure once more: on a full disk the first line did not reach the log.
            logger.warning("%s succeeds again. It had failed: %s", name, problem)
        return True
