"""The kill switch: deletes the stacks that cost most when the month's whole budget is spent, and tells people."""

from __future__ import annotations

import functools
import logging
from typing import Any

import boto3

from services.common.lambda_context import LambdaContext
from services.common.logging import configure_logging
from services.guard import stack_deletion
from services.guard.budget_notice import Spent, spent
from services.guard.settings import StopSpendingSettings

logger = logging.getLogger(__name__)

SHOWN = 1000
"""Characters of a message that is passed on."""


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[str]]:
    """Delete the stacks when a message of the event is the budget's notice that 100 % are spent.

    Any other message deletes nothing and is passed on to people. Who hears of a deletion hears of it once: when it
    begins. A failed one is told by the function's alarm, and Lambda's retry goes on with it.

    Returns:
        `{"deleted": [...], "absent": [...]}`, stack names; both empty when there was no such notice.

    Raises:
        StackDeletionError: a deletion failed, or needs longer than this invocation has.
    """
    settings = _start()
    done: dict[str, list[str]] = {"deleted": [], "absent": []}
    for record in event.get("Records", []):
        message = str(record["Sns"]["Message"])
        notice = spent(message, settings.budget_name)
        if notice is None:
            logger.warning("not the notice of budget %s: nothing is deleted", settings.budget_name)
            _tell(settings, "Nothing was deleted by the budget", _not_the_notice(message))
            continue
        done = stack_deletion.delete(
            settings.stacks,
            context.get_remaining_time_in_millis() / 1000,
            functools.partial(_announce, settings, notice),
        )
    return done


@functools.cache
def _start() -> StopSpendingSettings:
    configure_logging()
    return StopSpendingSettings.load()


def _announce(settings: StopSpendingSettings, notice: Spent, stack: str) -> None:
    text = (
        f"{notice.actual:,.2f} of the month's {notice.limit:,.2f} USD are spent (budget {notice.budget}). "
        f"To stop what costs most, the stack {stack} is being deleted now. Until it is deployed again, questions are "
        "refused with 503; documents, traces and samples stay.\n\n"
        f"To bring it back: make deploy-inference-pipeline STAGE={settings.stage}. AWS Budgets speaks once a month, so "
        "that nothing stops the stack a second time this month, unless guard.monthly_budget_usd is raised before."
    )
    _tell(settings, f"Budget spent: {stack} is deleted", text)


def _not_the_notice(message: str) -> str:
    return (
        "A message came to the kill switch's topic that is not the notice of a spent budget, so that nothing was "
        f"deleted. AWS Budgets sends one such message when it first meets the topic. It says:\n\n{message[:SHOWN]}"
    )


def _tell(settings: StopSpendingSettings, subject: str, text: str) -> None:
    boto3.client("sns").publish(TopicArn=settings.alerts_topic_arn, Subject=subject[:100], Message=text)
