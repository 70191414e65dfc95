"""Rules of EC2 and its networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ministack.services import alb, ec2

from localcloud.emulator.rules.rule import Call, Change, Checks, Values


def _users(group: str) -> Iterator[str]:
    """What uses a security group: interfaces, load balancers, whose interfaces MiniStack leaves out, other groups."""
    for name, interface in ec2._network_interfaces.items():
        if any(each.get("GroupId") == group for each in interface.get("Groups") or ()):
            yield name
    for name, balancer in alb._lbs.items():
        if group in (balancer.get("SecurityGroups") or ()):
            yield name
    for name, other in ec2._security_groups.items():
        rules = (*(other.get("IpPermissions") or ()), *(other.get("IpPermissionsEgress") or ()))
        pairs = (pair for rule in rules for pair in rule.get("UserIdGroupPairs") or ())
        if name != group and any(pair.get("GroupId") == group for pair in pairs):
            yield name


def _deleted(request: Call | Change, parameter: str) -> str:
    """Id of what is to be deleted; empty for a change of another kind."""
    if isinstance(request, Call):
        return str(request.parameters.get(parameter))
    return request.physical_id if request.action == "delete" else ""


def _group_in_use(request: Call | Change) -> Values | None:
    group = _deleted(request, "GroupId")
    return {"group": group} if group and next(_users(group), None) else None


def _inside(subnet: str) -> Iterator[Mapping[str, Any]]:
    """What lies in a subnet: interfaces, and load balancers and NAT gateways, whose interfaces MiniStack leaves out."""
    yield from (each for each in ec2._network_interfaces.values() if each.get("SubnetId") == subnet)
    yield from (each for each in alb._lbs.values() if subnet in (each.get("Subnets") or ()))
    yield from (
        each
        for each in ec2._nat_gateways.values()
        if each.get("SubnetId") == subnet and each.get("State") not in ("deleting", "deleted")
    )


def _subnet_in_use(request: Call | Change) -> Values | None:
    subnet = _deleted(request, "SubnetId")
    return {"subnet": subnet} if subnet and next(_inside(subnet), None) else None


def _interface_in_use(request: Call | Change) -> Values | None:
    interface = _deleted(request, "NetworkInterfaceId")
    found = ec2._network_interfaces.get(interface) or {}
    return {"interface": interface} if found.get("Status") == "in-use" else None


CHECKS: Checks = {
    "security-group-in-use": _group_in_use,
    "subnet-in-use": _subnet_in_use,
    "interface-in-use": _interface_in_use,
}
