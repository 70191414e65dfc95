"""SNS -> Slack webhook."""

from __future__ import annotations

import functools
import logging
from typing import Any

from services.common.logging import configure_logging
from services.evaluation.alarm_message import build_message
from services.evaluation.secret_values import read_secret
from services.evaluation.settings import NotifySettings
from services.evaluation.slack import post

logger = logging.getLogger(__name__)


def handler(event: dict[str, Any], _context: object) -> dict[str, int]:
    """Send every SNS message of the event to the webhook.

    Returns:
        `{"sent": number of messages}`.

    Raises:
        SecretUnavailableError, NotificationError: the message was not delivered, so that Lambda retries and in the end
            puts the event on the dead-letter queue.
    """
    settings = _start()
    records = event.get("Records", [])
    url = read_secret(settings.slack_webhook_secret_arn)
    for record in records:
        notice = record["Sns"]
        message = build_message(
            notice["Message"], notice.get("Subject"), settings.stage, settings.opik_page_url, settings.runbook_url
        )
        post(url, message)
        logger.info("sent: %s", message["text"])
    return {"sent": len(records)}


@functools.cache
def _start() -> NotifySettings:
    configure_logging()
    return NotifySettings.load()
