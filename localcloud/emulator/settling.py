"""Resources that run containers: who runs them, how long they may take, and how CloudFormation waits for them.

With `LOCALCLOUD_CONTAINERS=external` another process runs the containers and reports what they do through the private
operation `LocalcloudSettle` of ECS and of SageMaker. Otherwise everything is in service at once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

DEFAULT_SECONDS = 60.0
POLL_SECONDS = 0.2
_waits: ContextVar[bool] = ContextVar("waits", default=True)


class StabilisationError(RuntimeError):
    """The resource did not get into service; the message becomes the status reason of the stack event."""


def external_containers() -> bool:
    """Whether another process runs the containers."""
    return os.environ.get("LOCALCLOUD_CONTAINERS") == "external"


def longest_seconds() -> float:
    """Seconds within which a resource must be in service: `LOCALCLOUD_STABILISE_SECONDS`, else 60. AWS waits hours."""
    return float(os.environ.get("LOCALCLOUD_STABILISE_SECONDS", DEFAULT_SECONDS))


@contextmanager
def without_waiting() -> Iterator[None]:
    """Within the block no wait for a resource waits, as in CloudFormation's express mode."""
    token = _waits.set(False)
    try:
        yield
    finally:
        _waits.reset(token)


def stacks_wait() -> bool:
    """Whether the stack that is worked on waits for its resources, as it does but in express mode."""
    return _waits.get()


def wait_until_settled(look: Callable[[], str | None]) -> None:
    """Call `look` until the resource has settled.

    Args:
        look: None while the resource is in progress, an empty string once it is in service, or why it failed. It sets
            the limit of time.

    Raises:
        StabilisationError: it failed.
    """
    if not stacks_wait():
        return
    while (problem := look()) is None:
        time.sleep(POLL_SECONDS)
    if problem:
        raise StabilisationError(problem)
