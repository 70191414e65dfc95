"""CloudWatch: alarms, metrics, logs, dashboards."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from twin.cost.assembly import Resource, number, refers_to
from twin.cost.charge import Charge, Context, Finding, Free, always, per_answer
from twin.cost.pricers.containers import TASK

HIGH_RESOLUTION_SECONDS = 60
"""Alarms on shorter periods are high-resolution alarms (https://aws.amazon.com/cloudwatch/pricing/)."""
TRACKING_ALARMS = 2
"""Alarms that a target tracking policy keeps: one to grow, one to shrink."""


def alarm(resource: Resource, context: Context) -> Iterable[Finding]:
    """An alarm is paid by the metrics that it looks at; short periods cost three times as much."""
    metrics = [each for each in resource.properties.get("Metrics", ()) if "MetricStat" in each]
    periods = [each["MetricStat"].get("Period", 60) for each in metrics] or [resource.properties.get("Period", 60)]
    is_high = any(number(period) < HIGH_RESOLUTION_SECONDS for period in periods)
    grade = "high-resolution" if is_high else "standard"
    yield Charge(f"Alarm, {grade}", f"alarm.{grade}", always(len(periods)))


def composite_alarm(resource: Resource, context: Context) -> Iterable[Finding]:
    """An alarm over alarms."""
    yield Charge("Composite alarm", "alarm.composite", always(1))


def scaling_policy(resource: Resource, context: Context) -> Iterable[Finding]:
    """A target tracking policy creates alarms that no template shows."""
    tracking = resource.properties.get("TargetTrackingScalingPolicyConfiguration")
    if tracking is None:
        yield Free("a step scaling policy: its alarm is a separate resource")
        return
    metric = str(tracking.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType", ""))
    grade = "high-resolution" if metric.endswith("HighResolution") else "standard"
    yield Charge(f"Scaling alarms, {grade}", f"alarm.{grade}", always(TRACKING_ALARMS))


def dashboard(resource: Resource, context: Context) -> Iterable[Finding]:
    """A dashboard by the month."""
    yield Charge("Dashboard", "dashboard.month", always(1))


def log_group(resource: Resource, context: Context) -> Iterable[Finding]:
    """What is written to a group and what it keeps.

    Answers are written by the containers of the service and of the LLM; other groups take the assumed idle volume only.
    Kept is what was written in a month, as if retention were longer and nothing were compressed.
    """
    assumed = context.assumptions
    name = str(resource.properties.get("LogGroupName", ""))
    kilobytes = Decimal(0)
    if name.startswith("/aws/sagemaker/"):
        kilobytes = assumed.llm_log_kilobytes
    elif any(_writes(task, resource) for task in context.assembly.of(TASK, resource.stack)):
        kilobytes = assumed.answer_log_kilobytes
    volume = per_answer(kilobytes / 1_000_000, idle=assumed.idle_log_megabytes / 1_000)
    yield Charge("Logs written", "logs.written", volume)
    yield Charge("Logs kept", "logs.stored", volume)


def _writes(task: Resource, group: Resource) -> bool:
    containers = task.properties.get("ContainerDefinitions", ())
    return any(refers_to(each.get("LogConfiguration"), group.logical_id) for each in containers)
