"""What EC2, load balancers and distributions refuse."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.emulator.cases import BALANCERS, NETWORK
from tests.integration.emulator.conftest import Aws, Stacks
from tests.integration.emulator.rules.refusals import assert_call_refused, assert_stack_refused, resource


def test_a_security_group_in_use_is_not_deleted(aws: Aws, stacks: Stacks) -> None:
    rule, ec2 = "security-group-in-use", aws("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.92.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.92.0.0/24")["Subnet"]["SubnetId"]
    group = resource("EC2::SecurityGroup", VpcId=vpc, GroupDescription="used")
    assert stacks.create("used-group", {"Group": group}) == "CREATE_COMPLETE"
    used = stacks.physical_id("used-group", "Group")
    words = f"resource {used} has a dependent object"
    interface = ec2.create_network_interface(SubnetId=subnet, Groups=[used])["NetworkInterface"]
    assert_call_refused(rule, words, ec2.delete_security_group, GroupId=used)
    aws("cloudformation").delete_stack(StackName="used-group")
    assert stacks.settled("used-group") == "DELETE_FAILED"
    assert any(words in reason for reason in stacks.failures("used-group"))
    ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])
    other = ec2.create_security_group(GroupName="other", Description="names it", VpcId=vpc)["GroupId"]
    rules = [{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [{"GroupId": used}]}]
    ec2.authorize_security_group_ingress(GroupId=other, IpPermissions=rules)
    assert_call_refused(rule, words, ec2.delete_security_group, GroupId=used)
    ec2.revoke_security_group_ingress(GroupId=other, IpPermissions=rules)
    stacks.delete("used-group")
    ec2.delete_security_group(GroupId=other)
    ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_vpc(VpcId=vpc)


def test_what_is_in_use_in_a_network_is_not_deleted(aws: Aws, stacks: Stacks) -> None:
    ec2 = aws("ec2")
    assert stacks.create("used-subnet", NETWORK) == "CREATE_COMPLETE"
    subnet = stacks.physical_id("used-subnet", "Subnet")
    interface = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    rule, words = "subnet-in-use", f"The subnet '{subnet}' has dependencies and cannot be deleted."
    assert_call_refused(rule, words, ec2.delete_subnet, SubnetId=subnet)
    aws("cloudformation").delete_stack(StackName="used-subnet")
    assert stacks.settled("used-subnet") == "DELETE_FAILED"
    assert any(words in reason for reason in stacks.failures("used-subnet"))
    machine = ec2.run_instances(ImageId="ami-1", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    attached = ec2.attach_network_interface(NetworkInterfaceId=interface, InstanceId=machine, DeviceIndex=1)
    rule, words = "interface-in-use", f"Network interface '{interface}' is currently in use."
    assert_call_refused(rule, words, ec2.delete_network_interface, NetworkInterfaceId=interface)
    ec2.detach_network_interface(AttachmentId=attached["AttachmentId"])
    ec2.terminate_instances(InstanceIds=[machine])
    ec2.delete_network_interface(NetworkInterfaceId=interface)
    stacks.delete("used-subnet")


def test_a_region_has_five_vpcs_and_five_addresses(aws: Aws, stacks: Stacks) -> None:
    ec2 = aws("ec2")
    made = [
        ec2.create_vpc(CidrBlock="10.93.0.0/16")["Vpc"]["VpcId"] for _ in range(5 - len(ec2.describe_vpcs()["Vpcs"]))
    ]
    rule, words = "vpcs", "The maximum number of VPCs has been reached."
    assert_call_refused(rule, words, ec2.create_vpc, CidrBlock="10.93.0.0/16")
    assert_stack_refused(stacks, rule, words, Vpc=resource("EC2::VPC", CidrBlock="10.93.0.0/16"))
    for vpc in made:
        ec2.delete_vpc(VpcId=vpc)
    free = 5 - len(ec2.describe_addresses()["Addresses"])
    addresses = [ec2.allocate_address(Domain="vpc")["AllocationId"] for _ in range(free)]
    rule, words = "elastic-addresses", "The maximum number of addresses has been reached."
    assert_call_refused(rule, words, ec2.allocate_address, Domain="vpc")
    assert_stack_refused(stacks, rule, words, Address=resource("EC2::EIP"))
    for address in addresses:
        ec2.release_address(AllocationId=address)


@pytest.mark.parametrize("seconds", ["0", "4001"])
def test_a_load_balancer_waits_up_to_4000_seconds(stacks: Stacks, seconds: str) -> None:
    balancer: Any = BALANCERS["Balancer"]
    attributes = [{"Key": "idle_timeout.timeout_seconds", "Value": seconds}]
    waiting = {**balancer, "Properties": {**balancer["Properties"], "LoadBalancerAttributes": attributes}}
    assert_stack_refused(stacks, "idle-timeout", "between 1 and 4000", **{**BALANCERS, "Balancer": waiting})


@pytest.mark.parametrize(
    ("rule", "words", "origin", "errors"),
    [
        ("origin-read-timeout", "read timeout", {"OriginReadTimeout": 121}, []),
        ("origin-keep-alive", "keep alive timeout", {"OriginKeepaliveTimeout": 0}, []),
        ("error-code", "invalid error code", {}, [{"ErrorCode": 418, "ErrorCachingMinTTL": 0}]),
    ],
)
def test_a_distribution_is_within_the_limits_of_cloudfront(
    stacks: Stacks, rule: str, words: str, origin: dict[str, int], errors: list[dict[str, int]]
) -> None:
    custom = {"OriginProtocolPolicy": "https-only", **origin}
    behaviour = {
        "TargetOriginId": "web",
        "ViewerProtocolPolicy": "https-only",
        "CachePolicyId": "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
    }
    config = {
        "Enabled": True,
        "Origins": [{"Id": "web", "DomainName": "example.com", "CustomOriginConfig": custom}],
        "DefaultCacheBehavior": behaviour,
        "CustomErrorResponses": errors,
    }
    assert_stack_refused(stacks, rule, words, Edge=resource("CloudFront::Distribution", DistributionConfig=config))


def test_a_subnet_in_use_is_not_deleted(aws: Aws, stacks: Stacks) -> None:
    rule, ec2 = "subnet-in-use", aws("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.93.0.0/16")["Vpc"]["VpcId"]
    assert (
        stacks.create("used-subnet", {"Subnet": resource("EC2::Subnet", VpcId=vpc, CidrBlock="10.93.0.0/24")})
        == "CREATE_COMPLETE"
    )
    used = stacks.physical_id("used-subnet", "Subnet")
    words = f"The subnet '{used}' has dependencies and cannot be deleted."
    interface = ec2.create_network_interface(SubnetId=used)["NetworkInterface"]["NetworkInterfaceId"]
    assert_call_refused(rule, words, ec2.delete_subnet, SubnetId=used)
    aws("cloudformation").delete_stack(StackName="used-subnet")
    assert stacks.settled("used-subnet") == "DELETE_FAILED"
    assert any(words in reason for reason in stacks.failures("used-subnet"))
    ec2.delete_network_interface(NetworkInterfaceId=interface)
    stacks.delete("used-subnet")
    ec2.delete_vpc(VpcId=vpc)
