"""The clock that `twin` waits by: as fast as AWS's on AWS, quicker where the target's own time is quick.

The local cloud takes AWS's minutes some times quicker (`localcloud/aws_time.py`). Every wait, timeout and deadline for
AWS runs on this clock, so that one number says both how long a thing takes and how long it is waited for, and a wake of
25 minutes can be waited for in seconds.

The speed is the target's to say: an emulator that divides its times by a factor tells the factor (`GET
/_localcloud/clock`). A variable of `twin`'s own shell could differ from the one of the shell that started the local
cloud, and would shorten deadlines on AWS where it was left over. AWS is not asked: only a target with an address of
its own (`AWS_ENDPOINT_URL`) is, and one that does not answer, such as a VPC endpoint or a proxy, counts as AWS.

What local processes do by themselves takes its real time under any factor: starts of containers, Opik, the vector
store, the sink, retries of HTTP. Such waits use `time.monotonic`. A deadline of this clock leaves the local cloud
`work_seconds` of real time on top, in which it starts the processes that AWS's minutes stand for.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import httpx

PATH = "/_localcloud/clock"
ANSWER_SECONDS = 5.0
LEAST_PAUSE_SECONDS = 0.05
"""Shortest pause of a quick clock: polling is work for the local cloud, which it does at its real pace."""


@dataclass(frozen=True)
class Clock:
    """Time on a target.

    Attributes:
        speed: seconds that pass there in one real second.
        work_seconds: real seconds that a deadline leaves on top, though never more than the deadline's own.
    """

    speed: float = 1.0
    work_seconds: float = 0.0

    def now(self) -> float:
        """Seconds of the target since some moment, for differences."""
        return time.monotonic() * self.speed

    def sleep(self, seconds: float) -> None:
        """Let `seconds` of the target pass."""
        time.sleep(max(seconds / self.speed, min(seconds, LEAST_PAUSE_SECONDS)))

    def deadline(self, seconds: float) -> Deadline:
        """The moment at which `seconds` of the target, from now on, have passed."""
        return Deadline(time.monotonic() + seconds / self.speed + min(seconds, self.work_seconds))


@dataclass(frozen=True)
class Deadline:
    """A moment at which a wait ends; `moment` is one of `time.monotonic()`."""

    moment: float

    @property
    def passed(self) -> bool:
        """Whether it is over."""
        return time.monotonic() > self.moment


def clock_of(endpoint: str | None) -> Clock:
    """The clock of a target.

    Args:
        endpoint: where AWS's APIs are served instead of AWS; None for AWS itself.
    """
    if not endpoint:
        return Clock()
    try:
        answer = httpx.get(f"{endpoint.rstrip('/')}{PATH}", timeout=ANSWER_SECONDS, trust_env=False)
        found = answer.json() if answer.status_code == httpx.codes.OK else {}
        return Clock(float(found["factor"]), float(found["work_seconds"]))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
        return Clock()
