"""VPC: NAT gateways, interface endpoints, public addresses, flow logs."""

from __future__ import annotations

from collections.abc import Iterable

from twin.cost.assembly import Resource, count
from twin.cost.charge import Charge, Context, Finding, Free, always, hourly, per_answer


def nat_gateway(resource: Resource, context: Context) -> Iterable[Finding]:
    """Hours and gigabytes."""
    assumed = context.assumptions
    yield Charge("NAT gateway", "nat.hour", hourly(1))
    data = per_answer(assumed.outbound_kilobytes / 1_000_000, idle=assumed.background_gigabytes)
    yield Charge("Data through it", "nat.data", data)


def address(resource: Resource, context: Context) -> Iterable[Finding]:
    """A public IPv4 address is paid whether used or not."""
    yield Charge("Public IPv4 address", "address.hour", hourly(1))


def endpoint(resource: Resource, context: Context) -> Iterable[Finding]:
    """An interface endpoint is paid per zone and by data; a gateway endpoint is free."""
    if resource.properties.get("VpcEndpointType", "Gateway") == "Gateway":
        yield Free("a gateway endpoint")
        return
    assumed = context.assumptions
    zones = count(resource.properties.get("SubnetIds", ())) or 1
    yield Charge(f"Endpoint in {zones} zones", "endpoint.hour", hourly(zones))
    data = per_answer(assumed.answer_kilobytes / 1_000_000, idle=assumed.background_gigabytes)
    yield Charge("Data through it", "endpoint.data", data)


def flow_log(resource: Resource, context: Context) -> Iterable[Finding]:
    """What a flow log writes; AWS bills it like any log that arrives in CloudWatch."""
    if resource.properties.get("LogDestinationType", "cloud-watch-logs") == "cloud-watch-logs":
        yield Charge("Flow logs written", "logs.written", always(context.assumptions.flow_log_gigabytes))
    else:
        yield Charge("Flow logs stored", "bucket.stored", always(context.assumptions.flow_log_gigabytes))
