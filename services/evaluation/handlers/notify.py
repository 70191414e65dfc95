"""SNS -> Slack webhook."""

from __future__ import annotations

import functools
import logging
from typing import Any

from services.common.logging import configure_logging
from services.evaluation.alerts.alarm_message import Facts, build_held_back, build_message, parse_alarm
from services.evaluation.alerts.announcements import Announcements, Verdict
from services.evaluation.alerts.deployments import last_deployment
from services.evaluation.alerts.slack import NotificationError, post
from services.evaluation.run.latest_run import latest_worst
from services.evaluation.settings import NotifySettings
from services.evaluation.storage.secret_values import read_secret
from services.evaluation.storage.state import State, open_state

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
    settings = _start()
    state = open_state(settings.state_table_name)
    announcements = Announcements(state, settings.messages_per_hour)
    url = read_secret(settings.slack_webhook_secret_arn)
    sent = 0
    for record in event.get("Records", []):
        notice = record["Sns"]
        alarm = parse_alarm(notice["Message"])
        key, verdict = announcements.decide(notice.get("MessageId") or notice["Message"], alarm)
        if verdict is Verdict.BUSY:
            raise NotificationError("another call is sending this message; this one looks again later")
        if verdict is Verdict.SILENT:
            logger.info("not sent, because it was told before or holds nothing new: %s", notice.get("Subject"))
            continue
        try:
            held_back = verdict is Verdict.FIRST_OVER_LIMIT
            facts = _facts(settings, state)
            post(
                url, build_held_back(facts, settings.messages_per_hour) if held_back else _message(notice, alarm, facts)
            )
        except BaseException:
            announcements.take_back(key)
            raise
        announcements.told(key, alarm)
        sent += 1
        logger.info("sent: %s", (alarm or {}).get("AlarmName") or notice.get("Subject"))
    return {"sent": sent}


@functools.cache
def _start() -> NotifySettings:
    configure_logging()
    return NotifySettings.load()


def _message(notice: dict[str, Any], alarm: dict[str, Any] | None, facts: Facts) -> dict[str, Any]:
    return build_message(notice["Message"], notice.get("Subject"), alarm, facts)


def _facts(settings: NotifySettings, state: State) -> Facts:
    return Facts(
        stage=settings.stage,
        opik_page_url=settings.opik_page_url,
        runbook_url=settings.runbook_url,
        trace_url=settings.trace_url,
        last_deployment=last_deployment(settings.stacks, settings.release),
        worst=tuple(latest_worst(state)),
    )
