"""What the service behind each kind of webhook would answer."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

_SENTRY_PATH = re.compile(r"^(?:/[^/]+)*/api/[^/]+/(?:envelope|store)/?$")
_EVENT_ID = re.compile(r"^[0-9a-f]{32}$")


def kind_of(path: str) -> str:
    """`slack` for incoming webhooks below `/slack/`, `sentry` for a DSN's envelope and store paths, else `webhook`."""
    if path.startswith("/slack/"):
        return "slack"
    return "sentry" if _SENTRY_PATH.match(path) else "webhook"


def slack_problem(body: str) -> str | None:
    """Slack's error text for a payload that it would refuse ("Handling errors", Slack incoming webhooks), or None."""
    payload = parsed(body)
    if not isinstance(payload, dict):
        return "invalid_payload"
    return None if any(payload.get(key) for key in ("text", "blocks", "attachments")) else "no_text"


def sentry_event_id(body: str) -> str:
    """The event id that the sender chose (first line of an envelope, or the event itself), else a new one."""
    header = parsed(body.split("\n", 1)[0])
    sent = header.get("event_id") if isinstance(header, dict) else None
    return sent if isinstance(sent, str) and _EVENT_ID.match(sent) else uuid.uuid4().hex


def parsed(text: str) -> Any:
    """The JSON value in `text`, or None when it is not JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return None
