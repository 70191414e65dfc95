"""The kill switch: deletes the stacks that cost most when the month's whole budget is spent, and sends an alert."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from typing import Any

import boto3

from services.common.lambda_runtime import LambdaContext, once_per_process, remaining_seconds, start
from services.guard.budget_notice import SpentBudget, parse_spent_budget
from services.guard.settings import StopSpendingSettings
from services.guard.stack_deletion import delete_stacks

logger = logging.getLogger(__name__)

QUOTED_CHARACTERS = 1000
"""Characters of another message that are quoted in the alert."""


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[str]]:
    """Delete the stacks when a message of the event is the budget's notice that 100 % are spent.

    Any other message deletes nothing and is passed on in an alert. A deletion is announced once, when it starts. A
    deletion that fails to the end raises the function's alarm, and Lambda's retry continues it.

    Returns:
        `{"deleted": [...], "absent": [...]}`, stack names; both empty when there was no such notice.

    Raises:
        StackDeletionError: a deletion still fails at the end of this invocation, or needs longer than it has.
    """
    return _kill_switch().act_on(event, context)


@dataclass(frozen=True)
class KillSwitch:
    """Deletion of the expensive stacks at the notice of a spent budget.

    Attributes:
        settings: of the function.
        cloudformation: client of `cloudformation`.
        sns: client of `sns`.
    """

    settings: StopSpendingSettings
    cloudformation: Any
    sns: Any

    def act_on(self, event: dict[str, Any], context: LambdaContext) -> dict[str, list[str]]:
        """Act on every message of an event of SNS; see `handler`."""
        settings = self.settings
        done: dict[str, list[str]] = {"deleted": [], "absent": []}
        for record in event.get("Records", []):
            message = str(record["Sns"]["Message"])
            budget = parse_spent_budget(message, settings.budget_name)
            if budget is None:
                logger.warning("not the notice of budget %s: nothing is deleted", settings.budget_name)
                self._alert("Nothing was deleted by the budget", _other_message(message))
                continue
            announce = functools.partial(self._announce, budget)
            done = delete_stacks(self.cloudformation, settings.stacks, remaining_seconds(context), announce)
        return done

    def _announce(self, budget: SpentBudget, stack: str) -> None:
        text = (
            f"{budget.actual:,.2f} of the month's {budget.limit:,.2f} USD are spent (budget {budget.budget}). "
            f"To stop what costs most, the stack {stack} is being deleted now. Until it is deployed again, questions "
            "are refused with 503; documents, traces and samples stay.\n\n"
            f"To bring it back: make deploy-inference-pipeline STAGE={self.settings.stage}. AWS Budgets sends one "
            "notice a month, so that nothing stops the stack a second time this month, unless "
            "guard.monthly_budget_usd is raised before."
        )
        self._alert(f"Budget spent: {stack} is deleted", text)

    def _alert(self, subject: str, text: str) -> None:
        self.sns.publish(TopicArn=self.settings.alerts_topic_arn, Subject=subject[:100], Message=text)


@once_per_process
def _kill_switch() -> KillSwitch:
    return KillSwitch(start(StopSpendingSettings), boto3.client("cloudformation"), boto3.client("sns"))


def _other_message(message: str) -> str:
    return (
        "A message came to the kill switch's topic that is not the notice of a spent budget, so that nothing was "
        "deleted. AWS Budgets sends one such message when it first uses the topic. The message:\n\n"
        f"{message[:QUOTED_CHARACTERS]}"
    )
