"""Whether an alert is to be told: once each, no more than people can read, and no recovery of what nobody heard of."""

from __future__ import annotations

import enum
import hashlib
import time
from typing import Any

from services.evaluation.storage.state import State

SENDING_SECONDS = 50.0
"""A call that was killed while it sent is taken over after this; shorter than the pause before Lambda's first retry."""
TOLD_SECONDS = 2 * 86400.0
RAISED_SECONDS = 30 * 86400.0
HOUR_SECONDS = 3600


class Verdict(enum.Enum):
    """What to do with an alert."""

    TELL = "tell"
    FIRST_OVER_LIMIT = "first over limit"
    SILENT = "silent"
    BUSY = "busy"


class Announcements:
    """What was told, in the table that all calls share. SNS delivers at least once, and alarms flap."""

    def __init__(self, state: State, per_hour: int) -> None:
        self._state = state
        self._per_hour = per_hour

    def decide(self, message_id: str, alarm: dict[str, Any] | None) -> tuple[str, Verdict]:
        """A key for `told` and `take_back`, and what to do.

        An alarm is the same when its name, state and time of change are: CloudWatch may act twice on one change.
        """
        key = f"told/{_digest(message_id, alarm)}"
        if self._state.read(key) is not None:
            return key, Verdict.SILENT
        if alarm is not None and alarm.get("NewStateValue") == "OK" and self._state.read(_raised(alarm)) is None:
            return key, Verdict.SILENT
        if not self._state.put_if_free(f"sending/{key}", _new_holder(), SENDING_SECONDS):
            return key, Verdict.BUSY
        number = self._state.add(f"hour/{int(time.time()) // HOUR_SECONDS}", 1, 2 * HOUR_SECONDS)
        if number <= self._per_hour:
            return key, Verdict.TELL
        return key, Verdict.FIRST_OVER_LIMIT if number == self._per_hour + 1 else Verdict.SILENT

    def told(self, key: str, alarm: dict[str, Any] | None) -> None:
        """Remember that the alert was delivered."""
        self._state.write(key, True, TOLD_SECONDS)
        if alarm is not None:
            # Kept until the recovery was told; then written as over by ending at once.
            seconds = RAISED_SECONDS if alarm.get("NewStateValue") == "ALARM" else -1.0
            self._state.write(_raised(alarm), True, seconds)

    def take_back(self, key: str) -> None:
        """The alert was not delivered: whoever tries next may."""
        self._state.write(f"sending/{key}", None, -1.0)


def _digest(message_id: str, alarm: dict[str, Any] | None) -> str:
    parts = (
        [message_id]
        if alarm is None
        else [str(alarm.get(name, "")) for name in ("AlarmName", "NewStateValue", "StateChangeTime")]
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]


def _raised(alarm: dict[str, Any]) -> str:
    return f"raised/{alarm['AlarmName']}"


def _new_holder() -> str:
    return f"{time.time_ns()}"
