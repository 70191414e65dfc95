"""Elastic Load Balancing: hours, capacity units, addresses."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from twin.cost.assembly import Resource, count
from twin.cost.charge import Charge, Context, Finding, Free, Unknown, hourly
from twin.cost.load import Load

KILOBYTES_PER_UNIT_HOUR = Decimal(1_000_000)
"""One capacity unit carries 1 GB an hour (https://aws.amazon.com/elasticloadbalancing/pricing/)."""


def load_balancer(resource: Resource, context: Context) -> Iterable[Finding]:
    """An application load balancer; facing the internet it takes a public address in every subnet.

    Of the four dimensions of a capacity unit, streamed answers fill the bytes first: one connection a second for each
    25 answers a second, and a stream of some seconds, stay far below 25 new and 3,000 open connections.
    """
    if resource.properties.get("Type", "application") != "application":
        yield Unknown("only application load balancers are priced")
        return
    yield Charge("Load balancer", "balancer.hour", hourly(1))
    kilobytes = context.assumptions.answer_kilobytes

    def units(load: Load) -> Decimal:
        return load.answers * kilobytes / KILOBYTES_PER_UNIT_HOUR

    yield Charge("Capacity units", "balancer.unit", units)
    if resource.properties.get("Scheme", "internet-facing") == "internet-facing":
        yield Charge("Public IPv4 of balancer", "address.hour", hourly(count(resource.properties.get("Subnets", ()))))
        yield Charge("Answers to the internet", "transfer.out", lambda load: load.answers * kilobytes / 1_000_000)
    else:
        yield Free("an internal load balancer has no public address")
