"""A circuit breaker: after several failures in a row a dependency is left alone for a while.

Callers then fail at once instead of queueing behind time limits, and the dependency can recover. Nygard, Release It!
(2nd edition, 2018), chapter 5.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

State = Literal["closed", "half_open", "open"]

OnChange = Callable[[str, State], None]
"""Told (dependency, state)."""

FAILURES = 5
PAUSE_SECONDS = 5.0


class CircuitOpen(Exception):
    """The dependency is left alone for now; the message is one sentence that a caller may see."""


class CircuitBreaker:
    """State of one dependency, for one event loop.

    Closed: calls pass. Open: none does, for a pause. Half open: one call tries; its outcome closes or opens again.
    """

    def __init__(
        self,
        dependency: str,
        counts: tuple[type[Exception], ...],
        *,
        failures: int = FAILURES,
        pause_seconds: float = PAUSE_SECONDS,
        on_change: OnChange = lambda dependency, state: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start closed.

        Args:
            dependency: name, for messages and metrics.
            counts: exceptions that mean the dependency is in trouble; any other outcome tells nothing of that kind.
            failures: failures in a row that open it.
            pause_seconds: how long it stays open.
            on_change: told about the state at the start and at every change.
            clock: seconds, monotonic.
        """
        self._dependency = dependency
        self._counts = counts
        self._threshold = failures
        self._pause = pause_seconds
        self._on_change = on_change
        self._clock = clock
        self._failed = 0
        self._until = 0.0
        self._state: State = "closed"
        on_change(dependency, "closed")

    @property
    def state(self) -> State:
        """Where it stands now."""
        return self._state

    @contextmanager
    def call(self) -> Iterator[None]:
        """Make one call to the dependency inside.

        Raises:
            CircuitOpen: it is left alone, or a call is just trying it.
        """
        trial = self._enter()
        try:
            yield
        except self._counts:
            self._fail()
            raise
        except BaseException:
            # A caller who went away, a refused request: nothing is known, so the next call may try at once.
            if trial:
                self._set("open")
            raise
        self._failed = 0
        self._set("closed")

    def _enter(self) -> bool:
        """Whether the call is a trial."""
        if self._state == "closed":
            return False
        if self._state == "half_open" or self._clock() < self._until:
            raise CircuitOpen(
                f"{self._dependency} failed {self._failed} times in a row and is left alone for some seconds."
            )
        self._set("half_open")
        return True

    def _fail(self) -> None:
        self._failed += 1
        if self._failed >= self._threshold:
            self._until = self._clock() + self._pause
            self._set("open")

    def _set(self, state: State) -> None:
        if state != self._state:
            self._state = state
            self._on_change(self._dependency, state)
