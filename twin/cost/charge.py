"""Outcomes of a pricer: charges with their amounts, free, or unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

from twin.cost.assembly import Assembly, Resource
from twin.cost.assumptions import Assumptions
from twin.cost.load import Load

Units = Callable[[Load], Decimal]


@dataclass(frozen=True)
class Charge:
    """One thing paid for.

    Attributes:
        what: what it is, in words.
        key: key of its price.
        units: how many units of that price a month takes.
    """

    what: str
    key: str
    units: Units


@dataclass(frozen=True)
class Free:
    """Costs nothing by itself."""

    why: str


@dataclass(frozen=True)
class Unknown:
    """May cost something that is not known here."""

    why: str


Finding = Charge | Free | Unknown


@dataclass(frozen=True)
class Context:
    """What a pricer may look at beside the resource."""

    assembly: Assembly
    assumptions: Assumptions


Pricer = Callable[[Resource, Context], Iterable[Finding]]


def always(count: Decimal | int) -> Units:
    """The same number of units in every month."""
    return lambda load: Decimal(count)


def hourly(count: Decimal | int) -> Units:
    """`count` units in every hour of the month."""
    return lambda load: Decimal(count) * load.hours


def per_answer(count: Decimal | int, idle: Decimal | int = 0) -> Units:
    """`count` units per answer, on top of what a month without questions takes."""
    return lambda load: Decimal(idle) + Decimal(count) * load.answers
