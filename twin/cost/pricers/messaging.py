"""SQS, SNS, EventBridge Scheduler, Step Functions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

from twin.cost.assembly import Assembly, Resource, number, refers_to
from twin.cost.charge import Charge, Context, Finding, Free, Unknown, always, per_answer
from twin.cost.load import Load

MAPPING = "AWS::Lambda::EventSourceMapping"
POLLERS = 5
POLL_SECONDS = 20
"""Lambda keeps five long polls of 20 s on a queue (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html)."""
REQUESTS_PER_MESSAGE = 3
"""Send, receive, delete; batches make it fewer."""
RATE = re.compile(r"rate\((?P<count>\d+) (?P<unit>minute|hour|day)s?\)")
SECONDS = {"minute": 60, "hour": 3600, "day": 86400}


def queue(resource: Resource, context: Context) -> Iterable[Finding]:
    """Messages of sampled answers, and the polls of the function that empties the queue. Others see no traffic."""
    mappings = context.assembly.of(MAPPING, resource.stack)
    if not any(refers_to(each.properties.get("EventSourceArn"), resource.logical_id) for each in mappings):
        yield Free("takes messages only when something fails")
        return

    def requests(load: Load) -> Decimal:
        polls = POLLERS * load.hours * 3600 / POLL_SECONDS
        return polls + REQUESTS_PER_MESSAGE * samples(load, context.assembly)

    yield Charge("Polls and messages", "queue.request", requests)


def topic(resource: Resource, context: Context) -> Iterable[Finding]:
    """Published messages; delivery to Lambda and SQS is free."""
    yield Charge("Messages", "topic.publish", always(context.assumptions.function_calls))


def schedule(resource: Resource, context: Context) -> Iterable[Finding]:
    """Calls of a schedule."""
    expression = str(resource.properties.get("ScheduleExpression", ""))
    seconds = period(expression)
    if expression.startswith("at("):
        yield Charge("One call", "schedule.call", always(1))
    elif seconds is None:
        yield Charge("Calls, at most one a minute", "schedule.call", lambda load: load.hours * 60)
    else:
        yield Charge("Calls", "schedule.call", lambda load: load.hours * 3600 / seconds)


def workflow(resource: Resource, context: Context) -> Iterable[Finding]:
    """State transitions of a standard workflow: assumed are ten per sampled answer."""
    if resource.properties.get("StateMachineType", "STANDARD") != "STANDARD":
        yield Unknown("express workflows are not priced")
        return
    yield Charge("State transitions", "workflow.transition", per_answer(10, idle=context.assumptions.function_calls))


def samples(load: Load, assembly: Assembly) -> Decimal:
    """Answers that go to evaluation: the share in the environment of the service's container, else all."""
    rates = [
        number(variable["Value"])
        for task in assembly.of("AWS::ECS::TaskDefinition")
        for container in task.properties.get("ContainerDefinitions", ())
        for variable in container.get("Environment", ())
        if variable.get("Name") == "SAMPLE_RATE" and isinstance(variable.get("Value"), str)
    ]
    return load.answers * max(rates, default=Decimal(1))


def period(expression: str) -> int | None:
    """Seconds between two calls of a `rate(...)`, None for other expressions."""
    rate = RATE.fullmatch(expression)
    return int(rate["count"]) * SECONDS[rate["unit"]] if rate else None
