"""Rules of EC2 and its networks."""

from __future__ import annotations

from collections.abc import Iterator

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


def _in_use(request: Call | Change) -> Values | None:
    if isinstance(request, Call):
        group = str(request.parameters.get("GroupId"))
    elif request.action == "delete":
        group = request.physical_id
    else:
        return None
    return {"group": group} if next(_users(group), None) else None


CHECKS: Checks = {
    "security-group-in-use": _in_use,
}
