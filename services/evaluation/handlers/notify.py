"""SNS -> Slack webhook."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3

from services.common.lambda_runtime import once_per_process, start
from services.common.secret_values import read_secret
from services.evaluation.alerts.alarm_message import AlertContext, build_held_back, build_message, parse_alarm
from services.evaluation.alerts.announcements import Announcements, Decision
from services.evaluation.alerts.deployments import last_deployment
from services.evaluation.alerts.slack import NotificationError, post
from services.evaluation.run.bookkeeping import read_worst_answers
from services.evaluation.settings import NotifySettings
from services.evaluation.state import State

logger = logging.getLogger(__name__)


def handler(event: dict[str, Any], _context: object) -> dict[str, int]:
    """Send every SNS message of the event to the webhook, each once, and no more than the hour's limit.

    A message over the limit is counted and held back; the first of them is replaced by a message that says so. E-mail
    subscribers of the topic get all.

    Returns:
        `{"sent": number of messages}`.

    Raises:
        SecretUnavailableError, NotificationError: a message was not delivered, so that Lambda retries and in the end
            puts the event on the dead-letter queue. What was delivered is not sent again.
    """
    return _notifier().send(event)


@dataclass(frozen=True)
class Notifier:
    """Delivery of SNS messages to the webhook.

    Attributes:
        settings: of the function.
        state: the state table.
        webhook_url: reads the webhook's address, which is a secret; called for every event.
        cloudformation: client of `cloudformation`.
    """

    settings: NotifySettings
    state: State
    webhook_url: Callable[[], str]
    cloudformation: Any

    @classmethod
    def from_settings(cls, settings: NotifySettings) -> Notifier:
        """A notifier with new clients."""
        secrets = boto3.client("secretsmanager")
        return cls(
            settings,
            State(settings.state_table_name),
            lambda: read_secret(secrets, settings.slack_webhook_secret_arn),
            boto3.client("cloudformation"),
        )

    def send(self, event: dict[str, Any]) -> dict[str, int]:
        """Send the messages of an event of SNS; see `handler`."""
        announcements = Announcements(self.state, self.settings.messages_per_hour)
        url = self.webhook_url()
        sent = 0
        for record in event.get("Records", []):
            notice = record["Sns"]
            alarm = parse_alarm(notice["Message"])
            key, decision = announcements.decide(notice.get("MessageId") or notice["Message"], alarm)
            if decision is Decision.BUSY:
                raise NotificationError("another call is sending this message; this one looks again later")
            if decision is Decision.SKIP:
                logger.info("not sent: sent before, over the limit, or nothing to recover: %s", notice.get("Subject"))
                continue
            try:
                post(url, self._payload(notice, alarm, held_back=decision is Decision.SEND_LIMIT_NOTICE))
            except BaseException:
                announcements.record_failure(key)
                raise
            announcements.record_sent(key, alarm)
            sent += 1
            logger.info("sent: %s", (alarm or {}).get("AlarmName") or notice.get("Subject"))
        return {"sent": sent}

    def _payload(self, notice: dict[str, Any], alarm: dict[str, Any] | None, *, held_back: bool) -> dict[str, Any]:
        settings = self.settings
        context = AlertContext(
            stage=settings.stage,
            opik_page_url=settings.opik_page_url,
            runbook_url=settings.runbook_url,
            trace_url=settings.trace_url,
            last_deployment=last_deployment(self.cloudformation, settings.stacks, settings.release),
            worst=tuple(read_worst_answers(self.state)),
        )
        if held_back:
            return build_held_back(context, settings.messages_per_hour)
        return build_message(notice["Message"], notice.get("Subject"), alarm, context)


@once_per_process
def _notifier() -> Notifier:
    return Notifier.from_settings(start(NotifySettings))
