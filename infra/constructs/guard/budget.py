"""Monthly budget of AWS Budgets, which notifies the alerts topic and, where wanted, the kill switch."""

from __future__ import annotations

from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.names import PROJECT
from infra.settings.deployment import DeploymentSettings

SPENT_PERCENT = 80
FORECAST_PERCENT = 100
ALL_PERCENT = 100


class MonthlyBudget(Construct):
    """Notifies the topic when 80 % are spent, and when the month is forecast to end above 100 %.

    Subscribers of the topic get the notification, by chat or e-mail; the topic must let AWS Budgets publish. The budget
    has no fixed name: CloudFormation replaces a budget whose notifications change, which a fixed name would prevent.
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
        """Declare the budget.

        Args:
            scope: parent.
            construct_id: of this construct.
            settings: of the stage.
            usd: limit of a calendar month in US dollars.
            topic: notified at 80 % spent and at 100 % forecast.
            switch: notified when 100 % are spent, and of nothing else.
        """
        super().__init__(scope, construct_id)
        props = budgets.CfnBudget
        # AWS Budgets allows one topic per notification.
        notifications = [("ACTUAL", SPENT_PERCENT, topic), ("FORECASTED", FORECAST_PERCENT, topic)]
        if switch is not None:
            notifications.append(("ACTUAL", ALL_PERCENT, switch))
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
                    subscribers=[props.SubscriberProperty(subscription_type="SNS", address=subscriber.topic_arn)],
                )
                for kind, percent, subscriber in notifications
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
