"""The dated table of AWS list prices: what ships with the project, and what a refresh put over it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from twin.target.errors import TwinError
from twin.target.paths import LOCAL

SHIPPED = Path(__file__).parent / "prices.json"
REFRESHED = LOCAL / "prices.json"
HOME_REGION = "us-east-1"
"""Region of which every price is known; its price is used for a region that the table lacks."""


@dataclass(frozen=True)
class Price:
    """One list price in USD.

    Attributes:
        unit: what is paid for once, like `hour` or `GB-month`.
        region: where the price holds; another one than asked for when the table has none for that.
        source: the public page of AWS that lists it.
        as_of: the day on which it was known to hold.
        note: how it was come by, when it was not simply read.
    """

    key: str
    usd: Decimal
    unit: str
    region: str
    source: str
    as_of: date
    note: str = ""


class PriceTable:
    """Prices by key and region."""

    def __init__(self, prices: Iterable[Price]) -> None:
        self._prices = {(price.key, price.region): price for price in prices}

    def find(self, key: str, region: str) -> Price | None:
        """The price in `region`, else that of us-east-1, else None: an unknown price is never zero."""
        return self._prices.get((key, region)) or self._prices.get((key, HOME_REGION))

    def keys(self) -> list[str]:
        """Every key, sorted."""
        return sorted({key for key, _ in self._prices})

    def over(self, other: PriceTable) -> PriceTable:
        """This table's prices, and those of `other` where this one has none."""
        return PriceTable({**other._prices, **self._prices}.values())

    def __iter__(self) -> Iterator[Price]:
        return iter(self._prices.values())

    def __len__(self) -> int:
        return len(self._prices)


def load() -> PriceTable:
    """The shipped table under what `twin cost --refresh-prices` wrote on this machine.

    Raises:
        TwinError: when a table cannot be read.
    """
    shipped = read(SHIPPED)
    return read(REFRESHED).over(shipped) if REFRESHED.exists() else shipped


def read(path: Path) -> PriceTable:
    """A table from its file.

    Raises:
        TwinError: when the file is not a table of prices.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return PriceTable(price for key, entry in document["prices"].items() for price in _prices(key, entry))
    except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation) as error:
        raise TwinError(f"The price table {path} is not readable ({error!r}): delete or fix it.") from None


def write(table: PriceTable, path: Path) -> None:
    """Write a table in the shipped format, one entry per key and date."""
    entries: dict[str, dict[str, Any]] = {}
    for price in sorted(table, key=lambda price: (price.key, price.region)):
        entry = entries.setdefault(price.key, {"unit": price.unit, "source": price.source, "usd": {}, "dates": {}})
        entry["usd"][price.region] = str(price.usd)
        entry["dates"][price.region] = price.as_of.isoformat()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"currency": "USD", "prices": entries}, indent=2) + "\n", encoding="utf-8")


def _prices(key: str, entry: Mapping[str, Any]) -> Iterable[Price]:
    notes, dates = entry.get("notes", {}), entry.get("dates", {})
    for region, usd in entry["usd"].items():
        amount = Decimal(usd)
        if not amount.is_finite() or amount <= 0:
            raise ValueError(f"{key} in {region}: {usd} is no price")
        as_of = date.fromisoformat(dates.get(region) or entry["as_of"])
        yield Price(key, amount, entry["unit"], region, entry["source"], as_of, notes.get(region, ""))
