"""The kill switch: stops the model, which costs most, when the month's whole budget is spent, and sends an alert."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from typing import Any

import boto3

from services.common.lambda_runtime import LambdaContext, once_per_process, remaining_seconds, start
from services.guard.budget_notice import SpentBudget, parse_spent_budget
from services.guard.model_stop import Done, ModelStop
from services.guard.settings import StopSpendingSettings

logger = logging.getLogger(__name__)

QUOTED_CHARACTERS = 1000
"""Characters of another message that are quoted in the alert."""


def handler(event: dict[str, Any], context: LambdaContext) -> Done:
    """Park the model when a message of the event is the budget's notice that 100 % are spent.

    A model that cannot be parked is deleted with its stack. Any other message stops nothing and is passed on in an
    alert. What is done is announced: parking when it is over, a deletion once, when it starts. A deletion that fails to
    the end raises the function's alarm, and Lambda's retry continues it.

    Returns:
        `{"parked": [...], "deleted": [...], "absent": [...]}`, names of components, and of stacks; all empty when there
        was no such notice.

    Raises:
        StackDeletionError: a deletion still fails at the end of this invocation, or needs longer than it has.
    """
    return _kill_switch().act_on(event, context)


@dataclass(frozen=True)
class KillSwitch:
    """Stop of the model at the notice of a spent budget.

    Attributes:
        settings: of the function.
        stop: of the same stage's model.
        sns: client of `sns`.
    """

    settings: StopSpendingSettings
    stop: ModelStop
    sns: Any

    def act_on(self, event: dict[str, Any], context: LambdaContext) -> Done:
        """Act on every message of an event of SNS; see `handler`."""
        done: Done = {"parked": [], "deleted": [], "absent": []}
        for record in event.get("Records", []):
            message = str(record["Sns"]["Message"])
            budget = parse_spent_budget(message, self.settings.budget_name)
            if budget is None:
                logger.warning("not the notice of budget %s: nothing is stopped", self.settings.budget_name)
                self._alert("Nothing was stopped by the budget", _other_message(message))
                continue
            announce = functools.partial(self._announce_deletion, budget)
            done = self.stop.park(remaining_seconds(context), announce)
            if done["parked"]:
                self._announce_parking(budget)
        return done

    def _announce_parking(self, budget: SpentBudget) -> None:
        stage = self.settings.stage
        what = (
            f"To stop what costs most, the model of stage {stage} was parked: it has no copies, its instance ends "
            "within some minutes, and no question wakes it."
        )
        self._alert(f"Budget spent: the model of stage {stage} is parked", self._told(budget, what))

    def _announce_deletion(self, budget: SpentBudget, stack: str, reason: str) -> None:
        what = (
            f"To stop what costs most, the stack {stack} is being deleted now, since its model was not parked: "
            f"{reason.rstrip('.')}."
        )
        self._alert(f"Budget spent: {stack} is deleted", self._told(budget, what))

    def _told(self, budget: SpentBudget, what: str) -> str:
        return (
            f"{budget.actual:,.2f} of the month's {budget.limit:,.2f} USD are spent (budget {budget.budget}). {what} "
            "Until the stage is deployed again, questions are refused with 503; documents, traces and samples stay.\n\n"
            f"To bring it back: make deploy-inference-pipeline STAGE={self.settings.stage}. AWS Budgets sends one "
            "notice a month, so that nothing stops the model a second time this month, unless "
            "guard.monthly_budget_usd is raised before."
        )

    def _alert(self, subject: str, text: str) -> None:
        self.sns.publish(TopicArn=self.settings.alerts_topic_arn, Subject=subject[:100], Message=text)


@once_per_process
def _kill_switch() -> KillSwitch:
    settings = start(StopSpendingSettings)
    return KillSwitch(settings, ModelStop.of(settings), boto3.client("sns"))


def _other_message(message: str) -> str:
    return (
        "A message came to the kill switch's topic that is not the notice of a spent budget, so that nothing was "
        "stopped. AWS Budgets sends one such message when it first uses the topic. The message:\n\n"
        f"{message[:QUOTED_CHARACTERS]}"
    )
