"""EC2 machines and the volumes, buckets and snapshots that data lies on."""

from __future__ import annotations

from collections.abc import Iterable

from twin.cost.assembly import Properties, Resource, number
from twin.cost.charge import Charge, Context, Finding, Unknown, always, hourly


def machine(resource: Resource, context: Context) -> Iterable[Finding]:
    """An EC2 machine that runs all month, its root volumes, and a public address where it asks for one."""
    kind = resource.properties.get("InstanceType")
    if not isinstance(kind, str):
        yield Unknown("the type of the machine is not in the template")
        return
    yield Charge(f"Machine {kind}", f"machine.{kind}", hourly(1))
    for device in resource.properties.get("BlockDeviceMappings", ()):
        yield _disk(device.get("Ebs", {}), "VolumeSize", f"Volume {device.get('DeviceName')}")
    if any(each.get("AssociatePublicIpAddress") for each in resource.properties.get("NetworkInterfaces", ())):
        yield Charge("Public IPv4 address", "address.hour", hourly(1))


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


def _disk(properties: Properties, size: str, what: str) -> Finding:
    kind = properties.get("VolumeType", "gp2")
    if properties.get(size) is None or kind != "gp3":
        return Unknown(f"{what} of type {kind} and size {properties.get(size)} is not priced")
    return Charge(what, "volume.gp3", always(number(properties[size])))
