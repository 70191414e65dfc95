"""Slack messages for CloudWatch alarms: cause, time, value, last deployment, worst answers and runbook section."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

WORST = 3
RUNBOOK_FILE = "docs/runbook.md"

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


# The runbook's section, with which infra ends the description of each alarm.
_SECTION = re.compile(r"(?<!\s)\s*+\(runbook: ([a-z0-9-]+)\)\s*+$")
# Runbook sections of the alarms about answers, which the worst samples explain.
_ABOUT_ANSWERS = frozenset({"answer-quality", "service-degraded"})


@dataclass(frozen=True)
class AlertContext:
    """Facts in a message besides the alarm itself.

    Attributes:
        stage: deployment stage.
        opik_page_url: page of the experiments.
        runbook_url: the runbook; an alarm's section is its anchor. Empty: it is named as a file of the repository.
        trace_url: page of a trace, with `{trace_id}` in it.
        last_deployment: the last deployment and its time; None when it is not known.
        worst: the worst samples of the last run, worst first: `{"trace_id": ..., <metric>: <score>}`.
    """

    stage: str
    opik_page_url: str
    runbook_url: str
    trace_url: str
    last_deployment: str | None = None
    worst: Sequence[Mapping[str, str | float]] = ()


def parse_alarm(message: str) -> dict[str, Any] | None:
    """CloudWatch's JSON of an alarm, or None when the message is something else."""
    try:
        parsed = json.loads(message)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) and parsed.get("AlarmName") else None


def build_message(
    message: str, subject: str | None, alarm: dict[str, Any] | None, context: AlertContext
) -> dict[str, Any]:
    """The Slack payload (`text` for notifications, `blocks` for the channel) for one SNS message.

    A message that is not an alarm (a budget notice, for example) is passed on as text.
    """
    experiments = _link(context.opik_page_url, "Opik")
    if alarm is None:
        links = f"{experiments}  ·  {_runbook(context)}"
        return _payload(f"[{context.stage}] {subject or 'Notice'}", [_section(_escape(message))], links)
    state = str(alarm.get("NewStateValue", ""))
    symbol, word = _STATES.get(state, ("", state))
    what = str(alarm.get("AlarmDescription") or alarm["AlarmName"])
    found = _SECTION.search(what)
    section = found[1] if found else ""
    fields = [
        ("Since", _since(str(alarm.get("StateChangeTime", "")))),
        *_cause(alarm),
        ("Last deploy", context.last_deployment or "unknown"),
        ("Alarm", str(alarm["AlarmName"])),
    ]
    block = {
        "type": "section",
        "fields": [{"type": "mrkdwn", "text": f"*{name}*\n{_escape(text)}"[:2000]} for name, text in fields],
    }
    sections = [block]
    if state == "ALARM" and section in _ABOUT_ANSWERS and context.worst:
        sections.append(_section(_worst(context)))
    if reason := str(alarm.get("NewStateReason", "")):
        sections.append(_section(_escape(reason)))
    title = f"{symbol} [{context.stage}] {word}: {_SECTION.sub('', what)}"
    return _payload(title, sections, f"{_runbook(context, section)}  ·  {experiments}")


def build_held_back(context: AlertContext, per_hour: int) -> dict[str, Any]:
    """The payload of the notice that replaces all alerts of the hour beyond the limit."""
    text = (
        f"More than {per_hour} alerts came within the hour. Further ones are not posted here until the next hour: look "
        "at the alarms in CloudWatch, or at the e-mails."
    )
    title = f"\N{LARGE YELLOW CIRCLE} [{context.stage}] Alerts are held back"
    return _payload(title, [_section(text)], _runbook(context))


def _runbook(context: AlertContext, section: str = "") -> str:
    """The way to what to do: a link, or the name of the file where no page of it is known."""
    anchor = f"#{section}" if section else ""
    if not context.runbook_url:
        return f"What to do: {RUNBOOK_FILE}{anchor}"
    return _link(f"{context.runbook_url}{anchor}", "Runbook: what to do")


def _worst(context: AlertContext) -> str:
    lines = []
    for item in context.worst[:WORST]:
        trace_id = str(item["trace_id"])
        scores = ", ".join(f"{name} {value:.2f}" for name, value in item.items() if isinstance(value, int | float))
        url = context.trace_url.replace("{trace_id}", quote(trace_id, safe=""))
        lines.append(f"• {_link(url, trace_id)}  {_escape(scores)}")
    return "*Worst answers of the last evaluation*\n" + "\n".join(lines)


def _cause(alarm: dict[str, Any]) -> list[tuple[str, str]]:
    """What set the alarm off: a metric with its value and threshold, or the alarms that a composite one is made of.

    A composite alarm's message has no `Trigger` with a threshold, and names the children in `TriggeringChildren`.
    """
    children = alarm.get("TriggeringChildren")
    if isinstance(children, list):
        arns = [str(each.get("Arn", "")) for each in children if isinstance(each, dict)]
        return [("Because of", ", ".join(arn.rpartition(":alarm:")[2] for arn in arns))] if arns else []
    trigger = alarm.get("Trigger")
    return [("Value and threshold", _value(alarm, trigger))] if isinstance(trigger, dict) else []


def _value(alarm: dict[str, Any], trigger: dict[str, Any]) -> str:
    found = _DATAPOINT.search(str(alarm.get("NewStateReason", "")))
    value = f"{float(found[1]):g}" if found else "no datapoint"
    metric = trigger.get("MetricName") or "value"
    if trigger.get("Threshold") is None:
        return f"{metric} {value}"
    comparison = _COMPARISONS.get(str(trigger.get("ComparisonOperator")), str(trigger.get("ComparisonOperator") or ""))
    return f"{metric} {value}, alarm when {comparison} {trigger['Threshold']:g}"


def _since(text: str) -> str:
    """CloudWatch's `2026-11-21T03:00:00.000+0000` as `2026-11-21 03:00 UTC`; other text is returned unchanged."""
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
