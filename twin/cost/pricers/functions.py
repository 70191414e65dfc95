"""Lambda functions and the metrics that they publish."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from twin.cost.assembly import Resource, number, refers_to
from twin.cost.charge import Charge, Context, Finding
from twin.cost.load import Load
from twin.cost.pricers.messaging import MAPPING, period, samples

EVALUATION = "evaluate_monitoring.handler"
SCHEDULE = "AWS::Scheduler::Schedule"


def function(resource: Resource, context: Context) -> Iterable[Finding]:
    """Calls and gigabyte-seconds: by its schedule, its queue (one call per sample at most), or the assumed few."""
    assumed, properties = context.assumptions, resource.properties
    architecture = str(next(iter(properties.get("Architectures", ())), "x86_64"))
    gigabytes = number(properties.get("MemorySize", 128)) / 1024

    def calls(load: Load) -> Decimal:
        return _calls(resource, context, load)

    yield Charge("Calls", "lambda.request", calls)
    yield Charge(
        f"Run time, {gigabytes:f} GB {architecture}",
        f"lambda.{architecture}.gb-second",
        lambda load: calls(load) * assumed.function_seconds * gigabytes,
    )
    # The other functions with a namespace publish the same metrics, for longer runs.
    if str(properties.get("Handler", "")).endswith(EVALUATION):
        yield Charge(
            "Published metrics",
            "metric.month",
            lambda load: assumed.run_metrics + assumed.score_metrics * load.busy_hours / load.hours,
        )


def _calls(resource: Resource, context: Context, load: Load) -> Decimal:
    for schedule in context.assembly.of(SCHEDULE, resource.stack):
        if refers_to(schedule.properties.get("Target"), resource.logical_id):
            expression = str(schedule.properties.get("ScheduleExpression", ""))
            seconds = period(expression)
            if seconds is not None:
                return load.hours * 3600 / seconds
            return Decimal(1) if expression.startswith("at(") else load.hours * 60
    for mapping in context.assembly.of(MAPPING, resource.stack):
        if refers_to(mapping.properties.get("FunctionName"), resource.logical_id):
            return samples(load, context.assembly)
    return context.assumptions.function_calls
