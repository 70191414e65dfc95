"""AWS::EC2::EIP, NatGateway, SecurityGroupIngress, SecurityGroupEgress."""

from __future__ import annotations

from typing import Any

from localcloud.emulator.loopback import Loopback
from localcloud.emulator.registry import Created, Properties, ResourceType, physical_name


def resource_types(api: Loopback) -> dict[str, ResourceType]:
    """The four types over the EC2 API."""
    return {
        "AWS::EC2::EIP": _eip(api),
        "AWS::EC2::NatGateway": _nat_gateway(api),
        "AWS::EC2::SecurityGroupIngress": _rule(api, "Ingress"),
        "AWS::EC2::SecurityGroupEgress": _rule(api, "Egress"),
    }


def _tags(kind: str, properties: Properties) -> list[dict[str, Any]] | None:
    return [{"ResourceType": kind, "Tags": properties["Tags"]}] if properties.get("Tags") else None


def _eip(api: Loopback) -> ResourceType:
    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        wanted = {"Domain": "vpc", "TagSpecifications": _tags("elastic-ip", properties)}
        made = api.call("ec2", "AllocateAddress", wanted)
        return made["PublicIp"], {"AllocationId": made["AllocationId"], "PublicIp": made["PublicIp"]}

    def addresses(public_ip: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = api.call("ec2", "DescribeAddresses", {"PublicIps": [public_ip]})["Addresses"]
        return found

    def update(public_ip: str, properties: Properties, stack: str, logical_id: str) -> Created:
        return public_ip, {"PublicIp": public_ip, "AllocationId": addresses(public_ip)[0]["AllocationId"]}

    def delete(public_ip: str, _: Properties) -> None:
        for address in addresses(public_ip):
            api.forget("ec2", "ReleaseAddress", {"AllocationId": address["AllocationId"]})

    return ResourceType(create, delete, update, immutable=("Domain",))


def _nat_gateway(api: Loopback) -> ResourceType:
    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        wanted = {**properties, "TagSpecifications": _tags("natgateway", properties)}
        made = api.call("ec2", "CreateNatGateway", wanted)["NatGateway"]["NatGatewayId"]
        return made, {"NatGatewayId": made}

    def delete(nat_gateway: str, _: Properties) -> None:
        api.forget("ec2", "DeleteNatGateway", {"NatGatewayId": nat_gateway})

    return ResourceType(
        create,
        delete,
        lambda nat_gateway, *_: (nat_gateway, {"NatGatewayId": nat_gateway}),
        immutable=("SubnetId", "AllocationId", "ConnectivityType"),
    )


def _rule(api: Loopback, direction: str) -> ResourceType:
    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        made = api.call("ec2", f"AuthorizeSecurityGroup{direction}", _permission(properties))
        rules = made.get("SecurityGroupRules") or [{}]
        rule = rules[0].get("SecurityGroupRuleId") or physical_name(stack, logical_id)
        return rule, {"Id": rule}

    def delete(_: str, properties: Properties) -> None:
        api.forget("ec2", f"RevokeSecurityGroup{direction}", _permission(properties))

    return ResourceType(create, delete)


def _permission(properties: Properties) -> dict[str, Any]:
    permission: dict[str, Any] = {"IpProtocol": str(properties["IpProtocol"])}
    permission |= {key: int(properties[key]) for key in ("FromPort", "ToPort") if key in properties}
    described = {"Description": properties["Description"]} if properties.get("Description") else {}
    if properties.get("CidrIp"):
        permission["IpRanges"] = [{"CidrIp": properties["CidrIp"], **described}]
    other = properties.get("SourceSecurityGroupId") or properties.get("DestinationSecurityGroupId")
    if other:
        permission["UserIdGroupPairs"] = [{"GroupId": other, **described}]
    return {"GroupId": properties["GroupId"], "IpPermissions": [permission]}
