"""The three ways in which a month can go."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from twin.cost.assumptions import Assumptions

IDLE: Final = "idle"
OFFICE: Final = "office"
FULL: Final = "full"
NAMES: Final = (IDLE, OFFICE, FULL)


@dataclass(frozen=True)
class Load:
    """A month.

    Attributes:
        hours: length of the month.
        busy_hours: hours in which answers are given.
        answers: answers given in the month.
        is_full: whether everything that scales stands at its maximum all the time.
    """

    name: str
    hours: Decimal
    busy_hours: Decimal
    answers: Decimal
    is_full: bool = False

    def between(self, least: Decimal, most: Decimal) -> Decimal:
        """Hours that something runs which scales from `least` to `most`: all of it at full load, else one when busy."""
        if self.is_full:
            return most * self.hours
        when_busy = max(least, min(Decimal(1), most))
        return least * (self.hours - self.busy_hours) + when_busy * self.busy_hours


def loads(assumptions: Assumptions, copies: Decimal) -> tuple[Load, Load, Load]:
    """The three months of a stage with at most `copies` copies of the model."""
    month = assumptions.hours_per_month
    office = min(assumptions.office_hours_per_month, month)
    full = assumptions.full_answers_per_hour
    if full is None:
        full = copies * 3600 / assumptions.seconds_per_answer
    return (
        Load(IDLE, month, Decimal(0), Decimal(0)),
        Load(OFFICE, month, office, office * assumptions.office_answers_per_hour),
        Load(FULL, month, month, month * full, is_full=True),
    )
