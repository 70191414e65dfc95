"""Checks that alerts have receivers: budget, subscriptions of the stage's topics, their confirmation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twin.doctor.check import Check
from twin.doctor.context import Context
from twin.doctor.finding import Finding, ok, skipped, warning
from twin.inventory.ownership import Ownership

BUDGET, ALERTS = "Budget", "Alert subscriptions"
PENDING = "PendingConfirmation"
"""What SNS gives instead of an ARN until the owner of an address has followed the link."""


def _subscriptions(context: Context) -> Iterator[Finding]:
    client, own = context.stage.client("sns"), Ownership(context.stage)
    topics = [
        topic["TopicArn"]
        for page in client.get_paginator("list_topics").paginate()
        for topic in page["Topics"]
        if own.is_named(topic["TopicArn"])
    ]
    if not topics:
        yield skipped(ALERTS, "not deployed yet: look again after the first deployment")
        return
    for topic in topics:
        yield _judge(context, topic, _all_subscriptions(client, topic))


def _all_subscriptions(client: Any, topic: str) -> list[dict[str, str]]:
    pages = client.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
    return [subscription for page in pages for subscription in page["Subscriptions"]]


def _judge(context: Context, topic: str, subscriptions: list[dict[str, str]]) -> Finding:
    name = f"{ALERTS} of {topic.rsplit(':', 1)[-1]}"
    page = f"https://{context.stage.region}.console.aws.amazon.com/sns/v3/home?region={context.stage.region}#/topics"
    if not subscriptions:
        return warning(name, "none", "alarms are raised, but reach no one", f"subscribe an address: {page}")
    pending = [s["Endpoint"] for s in subscriptions if s["SubscriptionArn"] == PENDING]
    if pending:
        fix = f"follow the link in the message of AWS Notifications, or send it again: {page}"
        return warning(name, f"not confirmed: {', '.join(pending)}", "SNS sends nothing to an unconfirmed address", fix)
    return ok(name, ", ".join(sorted({s["Protocol"] for s in subscriptions})))


def _budget(context: Context) -> Iterator[Finding]:
    client, account = context.stage.client("budgets"), context.caller.account
    pages = client.get_paginator("describe_budgets").paginate(AccountId=account)
    budgets = [budget["BudgetName"] for page in pages for budget in page.get("Budgets", ())]
    fix = "https://console.aws.amazon.com/billing/home#/budgets: a monthly cost budget with an e-mail address"
    if not budgets:
        yield warning(BUDGET, "none in this account", "a forgotten endpoint is noticed on the bill", fix)
        return
    subscribed = [name for name in budgets if _subscribers(client, account, name)]
    if subscribed:
        yield ok(BUDGET, ", ".join(subscribed))
    else:
        yield warning(BUDGET, f"{', '.join(budgets)}: no subscriber", "the budget is exceeded in silence", fix)


def _subscribers(client: Any, account: str, budget: str) -> int:
    """Number of a budget's subscribers; unlike those of SNS they need no confirmation."""
    asked = {"AccountId": account, "BudgetName": budget}
    notifications = client.get_paginator("describe_notifications_for_budget").paginate(**asked)
    subscribers = client.get_paginator("describe_subscribers_for_notification")
    return sum(
        len(found.get("Subscribers", ()))
        for page in notifications
        for each in page.get("Notifications", ())
        for found in subscribers.paginate(**asked, Notification=each)
    )


CHECKS = (Check(ALERTS, _subscriptions), Check(BUDGET, _budget))
