"""AWS::EC2::EIP, NatGateway, SecurityGroupIngress, SecurityGroupEgress."""

from __future__ import annotations

from typing import Any

from localcloud.emulator.cloudformation.tags import retag
from localcloud.emulator.loopback import Loopback
from localcloud.emulator.registry import Created, Properties, ResourceType

RULE = ("CidrIp", "CidrIpv6", "FromPort", "GroupId", "IpProtocol", "ToPort")
"""Properties that identify a rule in either direction; only its description changes in place."""
INGRESS = (
    *RULE,
    "GroupName",
    "SourcePrefixListId",
    "SourceSecurityGroupId",
    "SourceSecurityGroupName",
    "SourceSecurityGroupOwnerId",
)
EGRESS = (*RULE, "DestinationPrefixListId", "DestinationSecurityGroupId")


def resource_types(api: Loopback) -> dict[str, ResourceType]:
    """The four types over the EC2 API."""
    return {
        "AWS::EC2::EIP": _eip(api),
        "AWS::EC2::NatGateway": _nat_gateway(api),
        "AWS::EC2::SecurityGroupIngress": _rule(api, "Ingress", INGRESS),
        "AWS::EC2::SecurityGroupEgress": _rule(api, "Egress", EGRESS),
    }


def _tags(kind: str, properties: Properties) -> list[dict[str, Any]] | None:
    return [{"ResourceType": kind, "Tags": properties["Tags"]}] if properties.get("Tags") else None


def _retag(api: Loopback, resource: str, old: Properties, new: Properties) -> None:
    retag(
        old,
        new,
        put=lambda tags: api.call("ec2", "CreateTags", {"Resources": [resource], "Tags": tags}),
        drop=lambda keys: api.call(
            "ec2", "DeleteTags", {"Resources": [resource], "Tags": [{"Key": key} for key in keys]}
        ),
    )


def _eip(api: Loopback) -> ResourceType:
    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        """Physical id (the public IP, as Ref returns it on AWS) and attributes of a new address."""
        wanted = {**properties, "Domain": "vpc", "TagSpecifications": _tags("elastic-ip", properties)}
        made = api.call("ec2", "AllocateAddress", wanted)
        return made["PublicIp"], {"AllocationId": made["AllocationId"], "PublicIp": made["PublicIp"]}

    def allocations(public_ip: str) -> list[str]:
        """Allocation ids of a public IP: one, or none after its release."""
        # MiniStack 1.5.33 ignores `PublicIps` and answers every address.
        found = api.call("ec2", "DescribeAddresses", {"PublicIps": [public_ip]})["Addresses"]
        return [address["AllocationId"] for address in found if address["PublicIp"] == public_ip]

    def update(public_ip: str, old: Properties, new: Properties) -> Created:
        """Physical id and attributes after the tags were changed.

        Raises:
            ValueError: the address does not exist.
        """
        (allocation,) = allocations(public_ip)
        _retag(api, allocation, old, new)
        return public_ip, {"PublicIp": public_ip, "AllocationId": allocation}

    def delete(public_ip: str, _: Properties) -> None:
        """Release the address; succeeds when it does not exist."""
        for allocation in allocations(public_ip):
            api.delete("ec2", "ReleaseAddress", {"AllocationId": allocation})

    immutable = ("Address", "IpamPoolId", "NetworkBorderGroup", "TransferAddress")
    return ResourceType(create, delete, update, immutable)


def _nat_gateway(api: Loopback) -> ResourceType:
    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        """Physical id (the NAT gateway id) and attributes of a new gateway."""
        wanted = {**properties, "TagSpecifications": _tags("natgateway", properties)}
        made = api.call("ec2", "CreateNatGateway", wanted)["NatGateway"]["NatGatewayId"]
        return made, {"NatGatewayId": made}

    def update(nat_gateway: str, old: Properties, new: Properties) -> Created:
        """Physical id and attributes after the tags were changed."""
        _retag(api, nat_gateway, old, new)
        return nat_gateway, {"NatGatewayId": nat_gateway}

    def delete(nat_gateway: str, _: Properties) -> None:
        """Delete the gateway; succeeds when it does not exist."""
        api.delete("ec2", "DeleteNatGateway", {"NatGatewayId": nat_gateway})

    immutable = ("AllocationId", "AvailabilityMode", "ConnectivityType", "PrivateIpAddress", "SubnetId", "VpcId")
    return ResourceType(create, delete, update, immutable)


def _rule(api: Loopback, direction: str, immutable: tuple[str, ...]) -> ResourceType:
    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        """Physical id (the rule id, `sgr-...`) and attributes of a new rule."""
        made = api.call("ec2", f"AuthorizeSecurityGroup{direction}", _permission(properties))
        rule = made["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        return rule, {"Id": rule}

    def update(rule: str, old: Properties, new: Properties) -> Created:
        """Physical id and attributes after the description was changed, the one property that changes in place."""
        described = {"SecurityGroupRuleId": rule, "SecurityGroupRule": {"Description": new.get("Description", "")}}
        api.call("ec2", "ModifySecurityGroupRules", {"GroupId": new["GroupId"], "SecurityGroupRules": [described]})
        return rule, {"Id": rule}

    def delete(rule: str, properties: Properties) -> None:
        """Revoke the rule; succeeds when it does not exist."""
        wanted = {"GroupId": properties["GroupId"], "SecurityGroupRuleIds": [rule]}
        api.delete("ec2", f"RevokeSecurityGroup{direction}", wanted)

    return ResourceType(create, delete, update, immutable)


def _permission(properties: Properties) -> dict[str, Any]:
    described = {"Description": properties["Description"]} if properties.get("Description") else {}
    permission: dict[str, Any] = {"IpProtocol": str(properties["IpProtocol"])}
    permission |= {key: int(properties[key]) for key in ("FromPort", "ToPort") if key in properties}
    for ranges, field, names in (
        ("IpRanges", "CidrIp", ("CidrIp",)),
        ("Ipv6Ranges", "CidrIpv6", ("CidrIpv6",)),
        ("PrefixListIds", "PrefixListId", ("SourcePrefixListId", "DestinationPrefixListId")),
        ("UserIdGroupPairs", "GroupId", ("SourceSecurityGroupId", "DestinationSecurityGroupId")),
    ):
        for name in names:
            if properties.get(name):
                permission[ranges] = [{field: properties[name], **described}]
    return {"GroupId": properties["GroupId"], "IpPermissions": [permission]}
