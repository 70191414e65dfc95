"""Delivery to a Slack incoming webhook."""

from __future__ import annotations

import json
import logging
import time
import urllib.error
import urllib.request
from typing import Any

logger = logging.getLogger(__name__)

ATTEMPTS = 4
TIMEOUT_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.5
MAX_PAUSE_SECONDS = 10.0


class NotificationError(RuntimeError):
    """A message was not delivered. The webhook's address is a secret and never part of the text."""


def post(url: str, payload: dict[str, Any]) -> None:
    """Send the message; retries transient failures (no connection, 429 with its Retry-After, 5xx).

    Raises:
        NotificationError: refused, or not delivered in the last attempt.
    """
    if not url.startswith(("https://", "http://")):
        raise NotificationError("the webhook secret holds no http address")
    data = json.dumps(payload).encode()
    problem = ""
    pause = FIRST_PAUSE_SECONDS
    for attempt in range(1, ATTEMPTS + 1):
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310 - checked above
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310 - checked above
                return
        except urllib.error.HTTPError as error:
            problem = f"HTTP {error.code}"
            if error.code != 429 and error.code < 500:
                raise NotificationError(f"the webhook refused the message: {problem}") from None
            pause = _retry_after(error) or pause
        except (OSError, urllib.error.URLError) as error:
            problem = type(getattr(error, "reason", error)).__name__
        logger.warning("attempt %d of %d to reach the webhook failed: %s", attempt, ATTEMPTS, problem)
        if attempt < ATTEMPTS:
            time.sleep(min(pause, MAX_PAUSE_SECONDS))
            pause *= 2
    raise NotificationError(f"the webhook was not reached in {ATTEMPTS} attempts: {problem}")


def _retry_after(error: urllib.error.HTTPError) -> float | None:
    value = error.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None
