"""Decision whether to send an alert: each alert once, a limit per hour, recoveries only of alarms that were sent."""

from __future__ import annotations

import enum
import hashlib
import time
from typing import Any

from services.evaluation.state import State

SENDING_SECONDS = 50.0
"""Then another call may send the alert of a killed call; shorter than the pause before Lambda's first retry."""
SENT_SECONDS = 2 * 86400.0
OPEN_ALARM_SECONDS = 30 * 86400.0
HOUR_SECONDS = 3600


class Decision(enum.Enum):
    """What to do with an alert."""

    SEND = "send"
    SEND_LIMIT_NOTICE = "send limit notice"
    """The first alert over the hour's limit: a notice of the limit is sent in its place."""
    SKIP = "skip"
    BUSY = "busy"
    """Another call is sending it."""


class Announcements:
    """Record of the alerts that were sent, in the table that all calls share.

    It is needed because SNS delivers at least once, and because alarms flap.
    """

    def __init__(self, state: State, per_hour: int) -> None:
        """Keep the parts; `per_hour` is the limit of messages."""
        self._state = state
        self._per_hour = per_hour
        self._charged: dict[str, str] = {}

    def decide(self, message_id: str, alarm: dict[str, Any] | None) -> tuple[str, Decision]:
        """A key for `record_sent` and `record_failure`, and what to do.

        An alarm is the same when its name, state and time of change are: CloudWatch may act twice on one change.
        """
        key = f"told/{_digest(message_id, alarm)}"
        if self._state.read(key) is not None:
            return key, Decision.SKIP
        if alarm is not None and alarm.get("NewStateValue") == "OK" and self._state.read(_open_alarm(alarm)) is None:
            return key, Decision.SKIP
        if not self._state.put_if_free(f"sending/{key}", _new_holder(), SENDING_SECONDS):
            return key, Decision.BUSY
        hour = self._charged[key] = f"hour/{int(time.time()) // HOUR_SECONDS}"
        number = self._state.add(hour, 1, 2 * HOUR_SECONDS)
        if number <= self._per_hour:
            return key, Decision.SEND
        return key, Decision.SEND_LIMIT_NOTICE if number == self._per_hour + 1 else Decision.SKIP

    def record_sent(self, key: str, alarm: dict[str, Any] | None) -> None:
        """Record that the alert was delivered."""
        self._state.write(key, True, SENT_SECONDS)
        if alarm is not None:
            # Kept until the recovery was sent; then it expires at once.
            seconds = OPEN_ALARM_SECONDS if alarm.get("NewStateValue") == "ALARM" else -1.0
            self._state.write(_open_alarm(alarm), True, seconds)

    def record_failure(self, key: str) -> None:
        """Record that the alert was not delivered: the next call may send it, and the hour's limit counts it no more.

        Without that, attempts at a webhook that is down would use the limit up, and alerts after it would be held back.
        """
        if hour := self._charged.pop(key, None):
            self._state.add(hour, -1, 2 * HOUR_SECONDS)
        self._state.write(f"sending/{key}", None, -1.0)


def _digest(message_id: str, alarm: dict[str, Any] | None) -> str:
    parts = (
        [message_id]
        if alarm is None
        else [str(alarm.get(name, "")) for name in ("AlarmName", "NewStateValue", "StateChangeTime")]
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]


def _open_alarm(alarm: dict[str, Any]) -> str:
    return f"raised/{alarm['AlarmName']}"


def _new_holder() -> str:
    return f"{time.time_ns()}"
