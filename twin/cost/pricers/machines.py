"""EC2 machines and the volumes, buckets and snapshots that data lies on."""

from __future__ import annotations

from collections.abc import Iterable

from twin.cost.assembly import Resource, number
from twin.cost.charge import Charge, Context, Finding, Unknown, always, hourly


def machine(resource: Resource, context: Context) -> Iterable[Finding]:
    """An EC2 machine that runs all month, its root volumes, and a public address where it asks for one."""
    kind = resource.properties.get("InstanceType")
    if not isinstance(kind, str):
        yield Unknown("the type of the machine is not in the template")
        return
    yield Charge(f"Machine {kind}", f"machine.{kind}", hourly(1))
    for device in resource.properties.get("BlockDeviceMappings", ()):
        size = device.get("Ebs", {}).get("VolumeSize")
        if size is not None:
            yield Charge(f"Volume {device.get('DeviceName')}", "volume.gp3", always(number(size)))
    if any(each.get("AssociatePublicIpAddress") for each in resource.properties.get("NetworkInterfaces", ())):
        yield Charge("Public IPv4 address", "address.hour", hourly(1))


def volume(resource: Resource, context: Context) -> Iterable[Finding]:
    """An EBS volume by its size; its snapshots share the assumed amount of stored data."""
    size, kind = resource.properties.get("Size"), resource.properties.get("VolumeType", "gp2")
    if size is None or kind != "gp3":
        yield Unknown(f"a volume of type {kind} and size {size} is not priced")
        return
    yield Charge("Volume", "volume.gp3", always(number(size)))


def snapshots(resource: Resource, context: Context) -> Iterable[Finding]:
    """What a snapshot policy keeps."""
    yield Charge("Snapshots", "volume.snapshot", always(context.assumptions.stored_gigabytes))


def bucket(resource: Resource, context: Context) -> Iterable[Finding]:
    """What a bucket holds, and one write per answer at most."""
    yield Charge("Stored objects", "bucket.stored", always(context.assumptions.stored_gigabytes))
    yield Charge("Writes", "bucket.write", lambda load: load.answers)
