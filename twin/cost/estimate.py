"""Estimate of every resource's cost in each kind of month, from an assembly, prices and assumptions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from twin.cost import office_hours
from twin.cost.assembly import Assembly, NotANumberError, Resource
from twin.cost.assumptions import Assumptions
from twin.cost.charge import Charge, Context, Finding, Free, Unknown
from twin.cost.load import FULL, Load, loads
from twin.cost.pricers import findings
from twin.cost.pricers.scaling import copies
from twin.cost.prices import Price, PriceTable
from twin.target.errors import TwinError

DAYS_PER_MONTH = Decimal(365) / 12


@dataclass(frozen=True)
class Line:
    """One charge of one resource.

    Attributes:
        units: units of the price per month, by load.
        monthly: USD per month, by load.
    """

    resource: Resource
    what: str
    price: Price
    units: Mapping[str, Decimal]
    monthly: Mapping[str, Decimal]


@dataclass(frozen=True)
class Remark:
    """Why a resource, or a part of it, is in no sum."""

    resource: Resource
    why: str


@dataclass(frozen=True)
class Estimate:
    """What a cloud assembly costs.

    Attributes:
        free: resources that are known to cost nothing by themselves.
        unknown: resources that may cost something which is in no sum.
    """

    assumptions: Assumptions
    loads: tuple[Load, ...]
    lines: tuple[Line, ...]
    free: tuple[Remark, ...]
    unknown: tuple[Remark, ...]

    def monthly(self, load: str) -> Decimal:
        """USD of a month."""
        return sum((line.monthly[load] for line in self.lines), Decimal(0))

    def daily(self, load: str) -> Decimal:
        """USD of an average day of a month."""
        return self.monthly(load) / DAYS_PER_MONTH

    def hourly(self, load: str) -> Decimal:
        """USD of an average hour of a month."""
        return self.monthly(load) / self.assumptions.hours_per_month

    def per_thousand(self, load: Load) -> Decimal | None:
        """USD of 1,000 answers, everything that runs included; None without questions."""
        return self.monthly(load.name) / load.answers * 1000 if load.answers else None

    @property
    def marginal_per_thousand(self) -> Decimal | None:
        """USD of 1,000 answers of a busy endpoint without what runs anyway: what full load adds to idle."""
        full = next(load for load in self.loads if load.name == FULL)
        idle = self.loads[0].name
        return (self.monthly(FULL) - self.monthly(idle)) / full.answers * 1000 if full.answers else None


def estimate(assembly: Assembly, table: PriceTable, assumptions: Assumptions) -> Estimate:
    """Price every resource of `assembly`.

    Raises:
        TwinError: when the number of the model's copies is known at deployment only and full load is not assumed.
    """
    months = loads(assumptions, _copies(assembly, assumptions), office_hours.of(assembly).open)
    context = Context(assembly, assumptions)
    lines: list[Line] = []
    free: list[Remark] = []
    unknown: list[Remark] = []
    for resource in assembly.resources:
        for finding in _findings(resource, context):
            if isinstance(finding, Free):
                free.append(Remark(resource, finding.why))
            elif isinstance(finding, Charge):
                price = table.find(finding.key, resource.region)
                if price is None:
                    unknown.append(Remark(resource, f"{finding.what}: no price of {finding.key} in the table"))
                else:
                    lines.append(_line(resource, finding, price, months))
            else:
                unknown.append(Remark(resource, finding.why))
    return Estimate(assumptions, months, tuple(lines), tuple(free), tuple(unknown))


def needed(assembly: Assembly, assumptions: Assumptions) -> dict[str, set[str]]:
    """Keys of every price that the assembly needs, by region."""
    context = Context(assembly, assumptions)
    keys: dict[str, set[str]] = {}
    for resource in assembly.resources:
        for finding in _findings(resource, context):
            if isinstance(finding, Charge):
                keys.setdefault(resource.region, set()).add(finding.key)
    return keys


def _findings(resource: Resource, context: Context) -> list[Finding]:
    try:
        return list(findings(resource, context))
    except NotANumberError as error:
        return [Unknown(f"a property is known at deployment only: {error}")]


def _copies(assembly: Assembly, assumptions: Assumptions) -> Decimal:
    if assumptions.full_answers_per_hour is not None:
        return Decimal(1)
    try:
        return copies(assembly)
    except NotANumberError as error:
        message = f"Full load does not follow from the templates ({error}): set --assume full_answers_per_hour=N."
        raise TwinError(message) from None


def _line(resource: Resource, charge: Charge, price: Price, months: Iterable[Load]) -> Line:
    units = {month.name: charge.units(month) for month in months}
    return Line(resource, charge.what, price, units, {name: count * price.usd for name, count in units.items()})
