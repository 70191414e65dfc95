"""Cost of judging by month, kept in the state table, where all runs add to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.evaluation.judges.meter import Usage
from services.evaluation.state import State

KEPT_SECONDS = 100 * 86400.0
MICRO = 1_000_000


@dataclass(frozen=True)
class MonthlySpending:
    """The spending of one calendar month (UTC), `2026-11`."""

    month: str
    used: Usage = field(default_factory=Usage)


def month_of(moment: datetime) -> str:
    """The calendar month in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m}"


class SpendingRecord:
    """The counters of one stage, by month; concurrent runs add to the same ones, and no addition is lost."""

    def __init__(self, state: State) -> None:
        """Keep the table."""
        self._state = state

    def read(self, moment: datetime) -> MonthlySpending:
        """The month's spending so far.

        Raises:
            botocore.exceptions.ClientError: the table may not be read.
        """
        month = month_of(moment)
        return _spending(month, self._state.counters(_key(month)))

    def add(self, used: Usage, moment: datetime) -> MonthlySpending:
        """Add calls and cost; returns the month's spending after it, other runs included.

        Raises:
            botocore.exceptions.ClientError: the table may not be written.
        """
        month = month_of(moment)
        amounts = {
            "calls": used.calls,
            "input_tokens": used.input_tokens,
            "output_tokens": used.output_tokens,
            "microdollars": round(used.dollars * MICRO),
        }
        return _spending(month, self._state.add_each(_key(month), amounts, KEPT_SECONDS))


def _key(month: str) -> str:
    return f"judging/{month}"


def _spending(month: str, counted: dict[str, int]) -> MonthlySpending:
    used = Usage(
        counted.get("calls", 0),
        counted.get("input_tokens", 0),
        counted.get("output_tokens", 0),
        counted.get("microdollars", 0) / MICRO,
    )
    return MonthlySpending(month, used)
