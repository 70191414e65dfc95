"""Network interfaces that an AWS service keeps in a VPC for a while after what needed them is gone.

They keep their subnets and security groups from being deleted. Public reports:
https://github.com/serverless/serverless/issues/7633 (Lambda), https://github.com/ekristen/aws-nuke/issues/615 (VPC
origins of CloudFront).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ministack.services import ec2


def hold(subnets: Iterable[str], groups: Iterable[str], description: str) -> list[str]:
    """Put an interface that is in use into each of these subnets; returns their ids."""
    parameters: dict[str, Any] = {f"SecurityGroupId.{number}": [group] for number, group in enumerate(groups, start=1)}
    held = []
    for subnet in subnets:
        before = set(ec2._network_interfaces)
        ec2._create_network_interface({"SubnetId": [subnet], "Description": [description], **parameters})
        (made,) = set(ec2._network_interfaces) - before
        ec2._network_interfaces[made] |= {"Status": "in-use", "InterfaceType": "interface"}
        if not parameters:
            # The service's own group, which is not one of the stage's.
            ec2._network_interfaces[made]["Groups"] = []
        held.append(made)
    return held


def release(interfaces: Iterable[str]) -> None:
    """Take them away again."""
    for each in interfaces:
        ec2._network_interfaces.pop(each, None)
