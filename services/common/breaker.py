"""A circuit breaker: after several failures in a row a dependency gets no calls for some seconds.

Callers then fail at once instead of waiting for time limits, and the dependency can recover. Nygard, Release It!
(2nd edition, 2018), chapter 5.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

State = Literal["closed", "half_open", "open"]

OnChange = Callable[[str, State], None]
"""Called with (dependency, state)."""

FAILURES = 5
PAUSE_SECONDS = 5.0


class CircuitOpen(Exception):
    """The dependency gets no calls for now; the message is one sentence that a caller may see."""


class CircuitBreaker:
    """State of one dependency, for one event loop.

    Closed: calls pass. Open: no call passes, for a pause. Half open: one trial call passes, and its outcome decides.
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
        """Start in the state closed.

        Args:
            dependency: name, for messages and metrics.
            counts: exceptions that count as failures of the dependency; others do not.
            failures: failures in a row that open it.
            pause_seconds: how long it stays open.
            on_change: called at the start and at every change.
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
        """The present state."""
        return self._state

    @contextmanager
    def call(self) -> Iterator[None]:
        """Make one call to the dependency inside.

        Raises:
            CircuitOpen: the circuit is open, or a trial call is running.
        """
        trial = self._enter()
        try:
            yield
        except self._counts:
            self._fail()
            raise
        except BaseException:
            # A cancelled call or a refused request shows nothing about the dependency: the next call may be the trial.
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
