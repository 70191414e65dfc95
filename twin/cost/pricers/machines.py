"""EC2 machines and the volumes, buckets and snapshots that data lies on."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal

from twin.cost.assembly import Properties, Resource, number, refers_to
from twin.cost.charge import Charge, Context, Finding, Unknown, always, hourly

GROUP = "AWS::AutoScaling::AutoScalingGroup"
TEMPLATE = "AWS::EC2::LaunchTemplate"


def machine(resource: Resource, context: Context) -> Iterable[Finding]:
    """An EC2 machine that runs all month, its root volumes, and a public address where it asks for one."""
    yield from _machines(resource.properties, Decimal(1))


def group(resource: Resource, context: Context) -> Iterable[Finding]:
    """The machines of an auto scaling group of a fixed size, as its launch template of the same stack has them."""
    given = resource.properties.get("LaunchTemplate")
    template = next(
        (each for each in context.assembly.of(TEMPLATE, resource.stack) if refers_to(given, each.logical_id)), None
    )
    least, most = (number(resource.properties.get(size)) for size in ("MinSize", "MaxSize"))
    if template is None or least != most:
        yield Unknown("its machines are not priced: only a fixed number of one launch template is")
        return
    data = template.properties.get("LaunchTemplateData", {})
    yield from _machines(data, most)
    if "METRIC_NAMESPACE" in json.dumps(data.get("UserData")):
        yield Charge("Published metrics", "metric.month", always(most * context.assumptions.machine_metrics))


def _machines(properties: Properties, count: Decimal) -> Iterable[Finding]:
    kind = properties.get("InstanceType")
    if not isinstance(kind, str):
        yield Unknown("the type of the machine is not in the template")
        return
    yield Charge(f"Machine {kind}", f"machine.{kind}", hourly(count))
    for device in properties.get("BlockDeviceMappings", ()):
        yield _disk(device.get("Ebs", {}), "VolumeSize", f"Volume {device.get('DeviceName')}", count)
    if any(each.get("AssociatePublicIpAddress") for each in properties.get("NetworkInterfaces", ())):
        yield Charge("Public IPv4 address", "address.hour", hourly(count))


def volume(resource: Resource, context: Context) -> Iterable[Finding]:
    """An EBS volume by its size; its snapshots share the assumed amount of stored data."""
    yield _disk(resource.properties, "Size", "Volume")


def snapshots(resource: Resource, context: Context) -> Iterable[Finding]:
    """What a snapshot policy keeps."""
    yield Charge("Snapshots", "volume.snapshot", always(context.assumptions.stored_gigabytes))


def bucket(resource: Resource, context: Context) -> Iterable[Finding]:
    """What a bucket holds, and one write per answer at most."""
    yield Charge("Stored objects", "bucket.stored", always(context.assumptions.stored_gigabytes))
    yield Charge("Writes", "bucket.write", lambda load: load.answers)


def _disk(properties: Properties, size: str, what: str, count: Decimal = Decimal(1)) -> Finding:
    kind = properties.get("VolumeType", "gp2")
    if properties.get(size) is None or kind != "gp3":
        return Unknown(f"{what} of type {kind} and size {properties.get(size)} is not priced")
    return Charge(what, "volume.gp3", always(count * number(properties[size])))
