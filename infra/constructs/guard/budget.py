"""A monthly budget that tells people, and may pull a switch."""

from __future__ import annotations

from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.names import PROJECT
from infra.settings.deployment import DeploymentSettings

SPENT_PERCENT = 80
FORESEEN_PERCENT = 100
ALL_PERCENT = 100


class MonthlyBudget(Construct):
    """Tells the topic when 80 % are spent, and when the month is foreseen to end above 100 %.

    Whoever subscribes to the topic hears of it, by chat or e-mail; the topic must let AWS Budgets publish. The budget
    has no name of ours: CloudFormation replaces one whose notifications change, which a fixed name would forbid.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: DeploymentSettings,
        usd: float,
        topic: sns.ITopic,
        switch: sns.ITopic | None = None,
    ) -> None:
        """`usd` is the limit of a calendar month in US dollars; `switch` hears that all of it is spent, only that."""
        super().__init__(scope, construct_id)
        props = budgets.CfnBudget
        # A notification tells one topic at most.
        told = [("ACTUAL", SPENT_PERCENT, topic), ("FORECASTED", FORESEEN_PERCENT, topic)]
        if switch is not None:
            told.append(("ACTUAL", ALL_PERCENT, switch))
        self.budget = budgets.CfnBudget(
            self,
            "Budget",
            budget=props.BudgetDataProperty(
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=props.SpendProperty(amount=usd, unit="USD"),
                cost_filters=self._filters(settings),
            ),
            notifications_with_subscribers=[
                props.NotificationWithSubscribersProperty(
                    notification=props.NotificationProperty(
                        notification_type=kind,
                        comparison_operator="GREATER_THAN",
                        threshold=percent,
                        threshold_type="PERCENTAGE",
                    ),
                    subscribers=[props.SubscriberProperty(subscription_type="SNS", address=listener.topic_arn)],
                )
                for kind, percent, listener in told
            ],
            resource_tags=[
                props.ResourceTagProperty(key=key, value=value)
                for key, value in {**settings.tags, "project": PROJECT, "stage": settings.stage}.items()
            ],
        )

    def _filters(self, settings: DeploymentSettings) -> dict[str, list[str]] | None:
        if settings.guard.budget_of == "account":
            return None
        return {"TagKeyValue": [f"user:stage${settings.stage}"]}
