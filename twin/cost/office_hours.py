"""The hours in which the model may be awake, read from the schedule of the target that scales its copies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from twin.cost.assembly import Assembly

TARGET = "AWS::ApplicationAutoScaling::ScalableTarget"
COPIES = "sagemaker:inference-component:DesiredCopyCount"
CRON = re.compile(r"cron\((?P<minute>\d+) (?P<hour>\d+) \? \* (?P<days>[A-Z,]+) \*\)")
WEEKS_PER_MONTH = Decimal(52) / 12


class Hours(NamedTuple):
    """Hours a month.

    Attributes:
        open: in which the model may be awake; None: in all.
        held: in which one copy runs even without questions.
    """

    open: Decimal | None
    held: Decimal


def of(assembly: Assembly) -> Hours:
    """Hours from the last scheduled start to the last scheduled end of each day; a schedule of another form is none."""
    opened = held = Decimal(0)
    found = False
    for target in assembly.of(TARGET):
        if target.properties.get("ScalableDimension") != COPIES:
            continue
        starts: dict[str, Decimal] = {}
        ends: dict[str, Decimal] = {}
        least = Decimal(0)
        for days, hour, action in _actions(target.properties):
            if action.get("MaxCapacity") == 0:
                ends |= dict.fromkeys(days, hour)
            else:
                starts |= dict.fromkeys(days, hour)
                least = max(least, Decimal(str(action.get("MinCapacity") or 0)))
        hours = sum((ends[day] - start for day, start in starts.items() if day in ends), Decimal(0)) * WEEKS_PER_MONTH
        if hours:
            found, opened = True, max(opened, hours)
            held = max(held, hours if least else Decimal(0))
    return Hours(opened if found else None, held)


def _actions(properties: Mapping[str, Any]) -> Iterator[tuple[list[str], Decimal, Mapping[str, Any]]]:
    for action in properties.get("ScheduledActions") or ():
        cron = CRON.fullmatch(str(action.get("Schedule")))
        if cron:
            hour = Decimal(cron["hour"]) + Decimal(cron["minute"]) / 60
            yield cron["days"].split(","), hour, action.get("ScalableTargetAction") or {}
