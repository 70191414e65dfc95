"""Office hours of the LLM: outside them no copy of the model runs, even when questions arrive."""

from __future__ import annotations

from datetime import time

from aws_cdk import aws_applicationautoscaling as scaling

from infra.settings.guard import OfficeHours

OPENS, CLOSES = "office-hours-start", "office-hours-end"


def keep_office_hours(target: scaling.CfnScalableTarget, hours: OfficeHours) -> None:
    """Add two scheduled actions to the scalable target of a model's copies.

    At the end of the hours the maximum becomes 0, which Application Auto Scaling enforces at once and the waking
    step cannot exceed; at their start it becomes that of the target. A deployment outside the hours leaves the
    target as it is, unless it changes it: then the stage may be awake until the next end.
    """
    least = max(target.min_capacity or 0, 1 if hours.wake_at_start else 0)
    target.scheduled_actions = [
        _action(OPENS, hours, hours.start, least, int(target.max_capacity or 0)),
        _action(CLOSES, hours, hours.end, 0, 0),
    ]


def _action(
    name: str, hours: OfficeHours, moment: time, least: float, most: int
) -> scaling.CfnScalableTarget.ScheduledActionProperty:
    days = ",".join(day.upper() for day in hours.days)
    return scaling.CfnScalableTarget.ScheduledActionProperty(
        scheduled_action_name=name,
        schedule=f"cron({moment.minute} {moment.hour} ? * {days} *)",
        timezone=hours.time_zone,
        scalable_target_action=scaling.CfnScalableTarget.ScalableTargetActionProperty(
            min_capacity=int(least), max_capacity=most
        ),
    )
