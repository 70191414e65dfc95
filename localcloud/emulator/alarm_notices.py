"""What an alarm tells its topic, in CloudWatch's shape and words.

MiniStack 1.5.33 has a wording of its own for a crossed threshold, and gives composite alarms the empty trigger of a
metric. CloudWatch's words are those of public messages, such as "Threshold Crossed: 1 datapoint [1.0 (02/02/25
12:05:00)] was greater than or equal to the threshold (1.0).", its shapes those of
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-actions-Lambda.html.
"""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from typing import Any

from ministack.core.responses import new_uuid
from ministack.services import cloudwatch, sns

_CROSSED = re.compile(r"Threshold Crossed: \S+ (\S+) (\w+) \S+")
_WORDS = {
    "GreaterThanOrEqualToThreshold": "greater than or equal to",
    "GreaterThanThreshold": "greater than",
    "LessThanThreshold": "less than",
    "LessThanOrEqualToThreshold": "less than or equal to",
}
_MOMENT = "%d/%m/%y %H:%M:%S"


def install() -> None:
    """Let alarms notify as CloudWatch's do. Call it once, before the emulator serves."""
    notify = cloudwatch._dispatch_alarm_actions

    def as_cloudwatch(alarm: dict[str, Any], old_state: str, new_state: str, reason: str) -> None:
        """MiniStack's call for a change of state; the reason that is kept with the alarm is CloudWatch's as well."""
        if "AlarmRule" in alarm:
            _notify_of_composite(alarm, old_state, new_state, reason)
            return
        alarm["StateReason"] = reason_in_words(reason, new_state, float(alarm.get("Threshold") or 0))
        notify(alarm, old_state, new_state, alarm["StateReason"])

    cloudwatch._dispatch_alarm_actions = as_cloudwatch


def reason_in_words(reason: str, state: str, threshold: float) -> str:
    """CloudWatch's sentence for MiniStack's; any other reason, such as one that was set by hand, stays as it is."""
    found = _CROSSED.fullmatch(reason)
    if found is None or found[2] not in _WORDS:
        return reason
    moment = datetime.now(UTC).strftime(_MOMENT)
    was = "was" if state == "ALARM" else "was not"
    value, than = float(found[1]), _WORDS[found[2]]
    return f"Threshold Crossed: 1 datapoint [{value} ({moment})] {was} {than} the threshold ({threshold})."


def _notify_of_composite(alarm: dict[str, Any], old_state: str, new_state: str, reason: str) -> None:
    field = {"ALARM": "AlarmActions", "OK": "OKActions"}.get(new_state, "InsufficientDataActions")
    triggering = json.loads(alarm.get("StateReasonData") or "{}").get("triggeringAlarms", [])
    payload = {
        **{name: alarm.get(name) for name in ("AlarmName", "AlarmDescription", "AlarmArn", "AlarmRule")},
        **{name: alarm.get(name) or [] for name in ("OKActions", "AlarmActions", "InsufficientDataActions")},
        "AWSAccountId": cloudwatch.get_account_id(),
        "NewStateValue": new_state,
        "NewStateReason": reason,
        "StateChangeTime": cloudwatch._ts_iso(time.time()),
        "Region": cloudwatch.get_region(),
        "OldStateValue": old_state,
        "TriggeringChildren": [
            {"Arn": each["arn"], "State": {"Value": each["state"]["value"], "Timestamp": each["state"]["timestamp"]}}
            for each in triggering
        ],
    }
    subject = f'{new_state}: "{alarm["AlarmName"]}" in {cloudwatch.get_region()}'[:100]
    if alarm.get("ActionsEnabled", True):
        for topic in filter(cloudwatch._is_sns_action_arn, alarm.get(field) or []):
            sns._fanout(topic, new_uuid(), json.dumps(payload), subject)
