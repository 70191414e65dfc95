"""Rules of EventBridge Scheduler."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ministack.services import iam, scheduler

from localcloud.emulator.rules.rule import Call, Change, Checks, Values

PRINCIPAL = "scheduler.amazonaws.com"
ONCE = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")
DEFAULT_GROUP = "default"


def _wanted(request: Call | Change) -> Mapping[str, Any]:
    """The properties of the schedule that is to be; the API and CloudFormation name them alike."""
    return request.parameters if isinstance(request, Call) else request.after


def _past(request: Call | Change) -> Values | None:
    wanted = _wanted(request)
    expression = str(wanted.get("ScheduleExpression"))
    if not (found := ONCE.fullmatch(expression)):
        return None
    try:
        zone = ZoneInfo(str(wanted.get("ScheduleExpressionTimezone") or "UTC"))
    except ZoneInfoNotFoundError:
        return None
    moment = datetime.fromisoformat(found[1]).replace(tzinfo=zone)
    return {"expression": expression} if moment <= datetime.now(UTC) else None


def _untrusting(request: Call | Change) -> Values | None:
    arn = str((_wanted(request).get("Target") or {}).get("RoleArn", ""))
    role = iam._roles.get(arn.rpartition("/")[2])
    if role is None:
        return None
    document = role["AssumeRolePolicyDocument"]
    trust = document if isinstance(document, str) else json.dumps(document)
    return None if PRINCIPAL in trust else {}


def _name(request: Call | Change) -> Any:
    """Name of what is to be created; the API has it at the end of the address."""
    if isinstance(request, Call):
        return request.parameters["path"][-1]
    return request.after.get("Name") if request.action == "create" else None


def _exists(request: Call | Change) -> Values | None:
    name = _name(request)
    taken = f"{_wanted(request).get('GroupName') or DEFAULT_GROUP}/{name}" in scheduler._schedules
    return {"name": name} if taken else None


def _group_exists(request: Call | Change) -> Values | None:
    name = _name(request)
    return {"name": name} if name in scheduler._schedule_groups else None


CHECKS: Checks = {
    "schedule-exists": _exists,
    "schedule-group-exists": _group_exists,
    "schedule-in-the-past": _past,
    "schedule-role-trust": _untrusting,
}
