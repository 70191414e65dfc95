"""From a CloudWatch alarm to a message that people can act on."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

_COMPARISONS = {
    "LessThanThreshold": "<",
    "LessThanOrEqualToThreshold": "<=",
    "GreaterThanThreshold": ">",
    "GreaterThanOrEqualToThreshold": ">=",
}
_STATES = {
    "ALARM": ("\N{LARGE RED CIRCLE}", "Alarm"),
    "OK": ("\N{LARGE GREEN CIRCLE}", "Recovered"),
    "INSUFFICIENT_DATA": ("\N{MEDIUM WHITE CIRCLE}", "No data"),
}
# CloudWatch writes the datapoints into the reason: "1 datapoint [0.31 (21/11/26 03:00:00)] was less than ...".
_DATAPOINT = re.compile(r"\[\s*(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)")
_MAX_TEXT = 2900  # Slack refuses a section above 3,000 characters


def build_message(
    sns_message: str, subject: str | None, stage: str, opik_page_url: str, runbook_url: str
) -> dict[str, Any]:
    """The Slack payload (`text` for notifications, `blocks` for the channel) for one SNS message.

    What is not an alarm (a budget notice, for example) is passed on as text.
    """
    alarm = _alarm(sns_message)
    links = f"{_link(opik_page_url, 'Experiments')}  ·  {_link(runbook_url, 'Runbook')}"
    if alarm is None:
        title = f"[{stage}] {subject or 'Notice'}"
        return _payload(title, [_section(_escape(sns_message))], links)
    state = str(alarm.get("NewStateValue", ""))
    symbol, word = _STATES.get(state, ("", state))
    title = f"{symbol} [{stage}] {word}: {alarm['AlarmName']}"
    fields = [
        ("What", str(alarm.get("AlarmDescription") or alarm["AlarmName"])),
        ("Since", _since(str(alarm.get("StateChangeTime", "")))),
        ("Value and threshold", _value(alarm)),
        ("Stage", stage),
    ]
    block = {
        "type": "section",
        "fields": [{"type": "mrkdwn", "text": f"*{name}*\n{_escape(text)}"[:2000]} for name, text in fields],
    }
    reason = str(alarm.get("NewStateReason", ""))
    return _payload(title, [block, *([_section(_escape(reason))] if reason else [])], links)


def _alarm(message: str) -> dict[str, Any] | None:
    try:
        parsed = json.loads(message)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) and parsed.get("AlarmName") else None


def _value(alarm: dict[str, Any]) -> str:
    raw = alarm.get("Trigger")
    trigger: dict[str, Any] = raw if isinstance(raw, dict) else {}
    found = _DATAPOINT.search(str(alarm.get("NewStateReason", "")))
    value = f"{float(found[1]):g}" if found else "no datapoint"
    metric = trigger.get("MetricName") or "value"
    if trigger.get("Threshold") is None:
        return f"{metric} {value}"
    comparison = _COMPARISONS.get(str(trigger.get("ComparisonOperator")), str(trigger.get("ComparisonOperator") or ""))
    return f"{metric} {value}, alarm when {comparison} {trigger['Threshold']:g}"


def _since(text: str) -> str:
    """CloudWatch's `2026-11-21T03:00:00.000+0000` as `2026-11-21 03:00 UTC`; what is not a time stays as it is."""
    try:
        return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return text or "unknown"


def _payload(title: str, sections: list[dict[str, Any]], links: str) -> dict[str, Any]:
    header = {"type": "header", "text": {"type": "plain_text", "text": title[:150], "emoji": True}}
    footer = {"type": "context", "elements": [{"type": "mrkdwn", "text": links}]}
    return {"text": _escape(title), "blocks": [header, *sections, footer]}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:_MAX_TEXT]}}


def _link(url: str, label: str) -> str:
    return f"<{url}|{label}>"


def _escape(text: str) -> str:
    """Slack's three escapes; without them, a text could mention a whole channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
