"""Rules of CloudWatch."""

from __future__ import annotations

from localcloud.emulator.rules.rule import Change, Checks, Values

DAY_SECONDS, WEEK_SECONDS, HOUR_SECONDS = 86_400, 604_800, 3_600


def _window(change: Change) -> Values | None:
    """An alarm over one metric that looks back for longer than CloudWatch does."""
    if "Period" not in change.after:
        return None
    period = int(change.after["Period"])
    seconds = period * int(change.after.get("EvaluationPeriods", 1))
    most, name = (WEEK_SECONDS, "week") if period >= HOUR_SECONDS else (DAY_SECONDS, "day")
    return {"name": name, "most": most} if seconds > most else None


def _more_points_than_periods(change: Change) -> Values | None:
    points, periods = change.after.get("DatapointsToAlarm"), change.after.get("EvaluationPeriods", 1)
    return {} if points is not None and int(points) > int(periods) else None


CHECKS: Checks = {
    "alarm-window": _window,
    "alarm-datapoints": _more_points_than_periods,
}
