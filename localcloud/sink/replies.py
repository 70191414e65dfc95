"""Kinds of webhooks, and the answers of the services that they stand for."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

_SENTRY_PATH = re.compile(r"^(?:/[^/]+)*/api/[^/]+/(?:envelope|store)/?$")
_EVENT_ID = re.compile(r"^[0-9a-f]{32}$")


def kind_of(path: str) -> str:
    """Kind of a request path: `slack` below `/slack/`, `sentry` for a DSN's envelope and store paths, else `webhook`.

    Source of Sentry's paths: "Envelopes" in Sentry's SDK development guide.
    """
    if path.startswith("/slack/"):
        return "slack"
    return "sentry" if _SENTRY_PATH.match(path) else "webhook"


def slack_problem(body: str) -> str | None:
    """Slack's error text for a payload that it would refuse, or None.

    Source: "Handling errors" in Slack's guide to incoming webhooks.
    """
    payload = parse_json(body)
    if not isinstance(payload, dict):
        return "invalid_payload"
    return None if any(payload.get(key) for key in ("text", "blocks", "attachments")) else "no_text"


def sentry_event_id(body: str) -> str:
    """Event id that the sender set (first line of an envelope, or the event itself), else a new one: 32 hex digits."""
    header = parse_json(body.split("\n", 1)[0])
    sent = header.get("event_id") if isinstance(header, dict) else None
    return sent if isinstance(sent, str) and _EVENT_ID.match(sent) else uuid.uuid4().hex


def parse_json(text: str) -> Any:
    """The JSON value in `text`, or None when it is not JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return None
