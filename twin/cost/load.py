"""Three kinds of month: idle, in office hours, at full load."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from twin.cost.assumptions import Assumptions

IDLE: Final = "idle"
OFFICE: Final = "office"
FULL: Final = "full"
OFFICE_HOURS: Final = Decimal(195)
"""9 x 5 x 52 / 12."""
NAMES: Final = (IDLE, OFFICE, FULL)


@dataclass(frozen=True)
class Load:
    """A month.

    Attributes:
        hours: length of the month.
        busy_hours: hours in which answers are given.
        answers: answers given in the month.
        is_full: whether everything that scales is at its maximum all the time.
    """

    name: str
    hours: Decimal
    busy_hours: Decimal
    answers: Decimal
    is_full: bool = False

    def between(
        self, least: Decimal, most: Decimal, held: Decimal = Decimal(0), after: Decimal = Decimal(0)
    ) -> Decimal:
        """Hours that something runs which scales from `least` to `most`: all of it at full load, else one when busy.

        One also runs for `held` hours, even without questions. In a month in which one runs at all it runs on for
        `after` hours until scaling ends it.
        """
        if self.is_full:
            return most * self.hours
        awake = max(self.busy_hours, held)
        awake = min(awake + after if awake else awake, self.hours)
        return least * (self.hours - awake) + max(least, min(Decimal(1), most)) * awake


def loads(assumptions: Assumptions, copies: Decimal, open_hours: Decimal | None = None) -> tuple[Load, Load, Load]:
    """The three months of a stage with at most `copies` copies of the model.

    Args:
        open_hours: hours a month in which the stage may be awake; None: always.
    """
    month = assumptions.hours_per_month
    office = assumptions.office_hours_per_month
    if office is None:
        office = OFFICE_HOURS if open_hours is None else open_hours
    office = min(office, month)
    full = assumptions.full_answers_per_hour
    if full is None:
        full = copies * 3600 / assumptions.seconds_per_answer
    return (
        Load(IDLE, month, Decimal(0), Decimal(0)),
        Load(OFFICE, month, office, office * assumptions.office_answers_per_hour),
        Load(FULL, month, month, month * full, is_full=True),
    )
