"""Names of IAM actions that differ from the names of the operations, and services that MiniStack does not know.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbudgetservice.html
"""

from __future__ import annotations

from typing import Any

from ministack.core import iam_actions

SERVICES = ("sagemaker", "application-autoscaling")
"""Services of this package, whose prefix in policies is their name."""
NAMES = {
    "budgets:DescribeBudget": "budgets:ViewBudget",
    "budgets:DescribeBudgets": "budgets:ViewBudget",
    "budgets:DescribeNotificationsForBudget": "budgets:ViewBudget",
    "budgets:DescribeSubscribersForNotification": "budgets:ViewBudget",
    "budgets:CreateBudget": "budgets:ModifyBudget",
    "budgets:UpdateBudget": "budgets:ModifyBudget",
    "budgets:DeleteBudget": "budgets:ModifyBudget",
    "budgets:CreateNotification": "budgets:ModifyBudget",
    "budgets:DeleteNotification": "budgets:ModifyBudget",
    "budgets:CreateSubscriber": "budgets:ModifyBudget",
    "budgets:DeleteSubscriber": "budgets:ModifyBudget",
}


def install() -> None:
    """Name actions as policies do."""
    for service in SERVICES:
        iam_actions.SERVICE_TO_IAM_NAMESPACE[service] = service
    known = iam_actions.extract_iam_action

    def named(*request: Any) -> str | None:
        """The action of a request, or None for one that no policy decides."""
        action = known(*request)
        return NAMES.get(action, action) if action else None

    iam_actions.extract_iam_action = named
