"""The price difference between two cloud assemblies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from twin.cost.assembly import short_names
from twin.cost.estimate import Estimate
from twin.cost.load import NAMES

Months = Mapping[str, Decimal]


@dataclass(frozen=True)
class Change:
    """One kind of charge that costs something else than before.

    Attributes:
        before: USD per month by load; zero when the charge is new.
        after: likewise; zero when the charge is gone.
    """

    stack: str
    kind: str
    what: str
    before: Months
    after: Months

    def delta(self, load: str) -> Decimal:
        """USD per month more than before."""
        return self.after[load] - self.before[load]


@dataclass(frozen=True)
class Diff:
    """Two estimates side by side; `changes` are ordered by size."""

    before: Estimate
    after: Estimate
    changes: tuple[Change, ...]

    def delta(self, load: str) -> Decimal:
        """USD per month more than before."""
        return self.after.monthly(load) - self.before.monthly(load)


def diff(before: Estimate, after: Estimate) -> Diff:
    """Compare by stack, type and charge, not by logical id: a replaced resource that costs the same is no change.

    Stacks are matched without what all names of an assembly start with, so that two stages can be compared.
    """
    old, new = _sums(before), _sums(after)
    nothing = dict.fromkeys(NAMES, Decimal(0))
    changes = (
        Change(*key, before=old.get(key, nothing), after=new.get(key, nothing))
        for key in sorted(old.keys() | new.keys())
    )
    kept = (change for change in changes if any(change.delta(load) for load in NAMES))
    ordered = sorted(kept, key=lambda change: -max(abs(change.delta(load)) for load in NAMES))
    return Diff(before, after, tuple(ordered))


def _sums(estimate: Estimate) -> dict[tuple[str, str, str], dict[str, Decimal]]:
    names = short_names(line.resource.stack for line in estimate.lines)
    sums: dict[tuple[str, str, str], dict[str, Decimal]] = {}
    for line in estimate.lines:
        key = (names[line.resource.stack], line.resource.kind, line.what)
        months = sums.setdefault(key, dict.fromkeys(NAMES, Decimal(0)))
        for load in NAMES:
            months[load] += line.monthly[load]
    return sums
