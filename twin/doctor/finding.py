"""What a check has to say."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum


class Status(StrEnum):
    """How bad a finding is.

    `FAILED`: the deployment would fail, or would not be what its settings say. `WARNING`: it may, or nobody could look.
    `SKIPPED`: the check does not apply or lacks what it needs. Only `FAILED` makes the preflight fail.
    """

    OK = "ok"
    FAILED = "failed"
    WARNING = "warning"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: what was looked at.
        seen: what was seen.
        why: what would go wrong because of it; empty when nothing would.
        fix: the command or page that mends it; empty when nothing need be mended.
    """

    check: str
    status: Status
    seen: str
    why: str = ""
    fix: str = ""

    def as_dict(self) -> dict[str, object]:
        """The finding as JSON has it."""
        return asdict(self)


def ok(check: str, seen: str) -> Finding:
    """Nothing is wrong."""
    return Finding(check, Status.OK, seen)


def failed(check: str, seen: str, why: str, fix: str) -> Finding:
    """The deployment would fail."""
    return Finding(check, Status.FAILED, seen, why, fix)


def warning(check: str, seen: str, why: str, fix: str) -> Finding:
    """The deployment may fail, or would disappoint."""
    return Finding(check, Status.WARNING, seen, why, fix)


def skipped(check: str, reason: str) -> Finding:
    """Nobody looked."""
    return Finding(check, Status.SKIPPED, reason)
