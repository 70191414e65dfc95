"""Findings of checks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

UNCHECKED = "The check could not run."
"""Why a warning is given when its check failed."""


class Status(StrEnum):
    """How bad a finding is.

    `FAILED`: the deployment would fail, or would not be what its settings say. `WARNING`: it may, or the check
    could not run.
    `SKIPPED`: the check does not apply or lacks what it needs. Only `FAILED` makes the preflight fail.
    """

    OK = "ok"
    FAILED = "failed"
    WARNING = "warning"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    """The outcome of a check.

    Attributes:
        check: what was checked.
        seen: what was found.
        why: what would go wrong because of it; empty when nothing would.
        fix: the command or page that fixes it; empty when nothing is wrong.
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
    """The check did not run."""
    return Finding(check, Status.SKIPPED, reason)
