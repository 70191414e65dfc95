"""Watch of a stage's alarms after a release."""

from __future__ import annotations

from twin.inventory.ownership import Ownership
from twin.target.cloudformation import CloudFormation
from twin.target.errors import TwinError
from twin.target.progress import Progress
from twin.target.stage import Stage

RINGING = "ALARM"
ALERTS = "AlertsTopicArn"
"""Output of the evaluation stack: the topic that people read."""


def watch(stage: Stage, seconds: float, every: float, progress: Progress) -> int:
    """Return how many alarms stayed quiet for `seconds`.

    An alarm that rang before the watch does not count against the release, unless it stops and starts again.

    Raises:
        TwinError: an alarm rang, or there is none to watch.
    """
    before = ringing(stage)
    if before:
        progress(f"Ringing already: {', '.join(sorted(before))}")
    end = stage.clock.now() + seconds
    while True:
        now = ringing(stage)
        if new := sorted(now - before):
            raise TwinError(f"Alarms since the release: {', '.join(new)}.")
        before &= now
        left = end - stage.clock.now()
        if left <= 0:
            break
        progress(f"All quiet, {left:.0f} s to go")
        stage.clock.sleep(min(every, left))
    count = len(_states(stage))
    if not count:
        raise TwinError(f"Stage {stage.name} has no alarm: a bad release would go unnoticed.")
    return count - len(before)


def ringing(stage: Stage) -> set[str]:
    """Names of the stage's alarms that ring."""
    return {name for name, state in _states(stage).items() if state == RINGING}


def _states(stage: Stage) -> dict[str, str]:
    """State by name of the alarms that speak to people: those that only drive scaling ring in a healthy stage."""
    evaluation = CloudFormation(stage).stack(stage.stack("evaluation"))
    topic = evaluation.outputs.get(ALERTS) if evaluation else None
    pages = stage.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{stage.prefix}-")
    alarms = [alarm for page in pages for alarm in page.get("MetricAlarms", ())]
    # The alarms of `dev-eu` begin like those of `dev`, and say nothing of a release of it.
    own = Ownership(stage)
    return {
        alarm["AlarmName"]: alarm["StateValue"]
        for alarm in alarms
        if topic in alarm.get("AlarmActions", ()) and own.is_named(alarm["AlarmName"])
    }
