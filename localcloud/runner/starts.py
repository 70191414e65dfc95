"""When the containers of a SageMaker unit start: AWS needs minutes for a machine, an image and a model."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from localcloud.aws_time import ALARM, stacks_take_time, wake_here


class StartTimes:
    """Keeps, per component or endpoint, from when on its containers may start.

    A start from no copy takes the time of a wake, which an endpoint that has run a copy shortens by its cache of the
    image. That of a new component does so only where stacks take AWS's time.

    Raises:
        LocalCloudError: a variable of these times is wrong.
    """

    def __init__(self) -> None:
        self._alarm = ALARM.here()
        self._wake = {cached: wake_here(cached=cached) for cached in (True, False)}
        self._creation_takes_time = stacks_take_time()
        self._lock = threading.Lock()
        self._refused: dict[str, float] = {}
        self._woken: dict[str, float] = {}
        self._starts: dict[str, float] = {}
        self._copies: dict[str, int] = {}
        self._cached: set[str] = set()

    def note_refusal(self, endpoint: str, component: str) -> None:
        """A call found no copy. Any thread may call this."""
        with self._lock:
            self._refused.setdefault(component, time.monotonic())

    def alarmed(self) -> list[str]:
        """Components whose refused call an alarm has noticed by now; each is given once."""
        now = time.monotonic()
        with self._lock:
            due = [name for name, since in self._refused.items() if now >= since + self._alarm]
            self._woken |= {name: self._refused.pop(name) for name in due}
        return due

    def is_pending(self, name: str) -> bool:
        """Whether the containers of a unit must not start yet."""
        return name in self._starts

    def plan(self, name: str, endpoint: str, copies: int, *, new: bool) -> None:
        """Look at a unit once per tick: what it had no copy of before starts later.

        Args:
            name: of the unit.
            endpoint: whose cache the image may be in.
            copies: wanted now.
            new: whether it is being created.
        """
        now = time.monotonic()
        woken = self._woken.pop(name, now)
        if copies and not self._copies.get(name):
            takes_time = self._creation_takes_time or not new
            self._starts[name] = woken + (self._wake[endpoint in self._cached] if takes_time else 0.0)
        if not copies or now >= self._starts.get(name, now):
            self._starts.pop(name, None)
        self._copies[name] = copies

    def forget(self, units: Iterable[str], endpoints: Iterable[str]) -> None:
        """Keep what is known of these units and endpoints only: a cache is purged with its endpoint."""
        kept = set(units)
        self._copies = {name: copies for name, copies in self._copies.items() if name in kept}
        self._starts = {name: when for name, when in self._starts.items() if name in kept}
        self._cached &= set(endpoints)

    def note_serving(self, endpoint: str) -> None:
        """A container of the endpoint serves, so that its image is in the cache."""
        self._cached.add(endpoint)
