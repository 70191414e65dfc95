"""The letter of AWS Budgets: only the notice of the named budget, all spent, is one."""

from __future__ import annotations

from decimal import Decimal

import pytest

from services.guard.budget_notice import SpentBudget, parse_spent_budget
from tests.budget_notice import notice

NAME = "twin-dev-guard-Budget"


def test_a_spent_budget_is_read() -> None:
    assert parse_spent_budget(notice(NAME, "$400.00", "$400.15"), NAME) == SpentBudget(
        NAME, Decimal("400.00"), Decimal("400.15")
    )
    thousands = notice(NAME, "$4,000.00", "$12,345.6", kind="Actual")
    assert parse_spent_budget(thousands, NAME) == SpentBudget(NAME, Decimal(4000), Decimal("12345.6"))


@pytest.mark.parametrize(
    "message",
    [
        notice("another", "$400.00", "$400.15"),
        notice(NAME, "$400.00", "$500.00", kind="FORECASTED"),
        notice(NAME, "$400.00", "$320.10"),
        notice(NAME, "400 EUR", "$400.15"),
        "This topic can be used for notices of AWS Budgets.",
        '{"AlarmName": "Budget Name: twin-dev-guard-Budget"}',
        "",
    ],
)
def test_every_other_message_is_none(message: str) -> None:
    assert parse_spent_budget(message, NAME) is None
