"""AWS Budgets' message to a topic, with the lines of the real one."""

from __future__ import annotations


def notice(budget: str, limit: str, amount: str, kind: str = "ACTUAL") -> str:
    """The message that a budget's cost of a kind is above its limit; amounts as `$1,000.00`."""
    return "\n".join(
        (
            "AWS Budget Notification November 21, 2026",
            "AWS Account 000000000000",
            "",
            "Dear AWS Customer,",
            "",
            f"You requested that we alert you when the {kind} Cost associated with your {budget} budget is greater "
            f"than {limit} for the current month. The {kind} Cost associated with this budget is {amount}.",
            "",
            f"Budget Name: {budget}",
            "Budget Type: Cost",
            f"Budgeted Amount: {limit}",
            f"Alert Type: {kind}",
            f"Alert Threshold: > {limit}",
            f"{kind} Amount: {amount}",
            "",
            "[1] https://console.aws.amazon.com/billing/home#/budgets",
            "",
        )
    )
