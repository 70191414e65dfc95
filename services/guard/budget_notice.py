"""Parser of the notices of AWS Budgets: plain text, whose last lines are `Name: value`.

Fields as they arrive: `Budget Name`, `Budgeted Amount: $1,000.00`, `Alert Type: ACTUAL` (or `FORECASTED`), `Alert
Threshold: > $1,000.00`, `ACTUAL Amount: $1,012.50`. Before its first notice AWS Budgets may send other messages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

_FIELD = re.compile(r"^[ \t]*+(Budget Name|Budgeted Amount|Alert Type|[A-Za-z]++ Amount):[ \t]*+(\S.*)$", re.MULTILINE)
_AMOUNT = re.compile(r"\$?\s*(\d[\d,]*(?:\.\d+)?)")
ACTUAL = "ACTUAL"
MAX_CHARACTERS = 8192
"""Characters that are read; a notice has less than a thousand."""


@dataclass(frozen=True)
class SpentBudget:
    """A budget of which everything is spent; amounts in US dollars."""

    budget: str
    limit: Decimal
    actual: Decimal


def parse_spent_budget(message: str, budget: str) -> SpentBudget | None:
    """The named budget, when the message is the notice that all of it is spent; None for every other message."""
    fields = {name.lower(): value.strip() for name, value in _FIELD.findall(message[:MAX_CHARACTERS])}
    limit, actual = _amount(fields, "budgeted amount"), _amount(fields, "actual amount")
    if fields.get("budget name") != budget or fields.get("alert type", "").upper() != ACTUAL:
        return None
    if limit is None or actual is None or actual < limit:
        return None
    return SpentBudget(budget, limit, actual)


def _amount(fields: dict[str, str], name: str) -> Decimal | None:
    found = _AMOUNT.fullmatch(fields.get(name, ""))
    return Decimal(found[1].replace(",", "")) if found else None
