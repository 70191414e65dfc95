"""What CloudFront refuses."""

from __future__ import annotations

from typing import Any

from tests.integration.emulator.cases import BALANCERS
from tests.integration.emulator.conftest import Stacks
from tests.integration.emulator.rules.codes import code_of


def edge(**tags: str) -> dict[str, Any]:
    """A distribution before the VPC origin of a load balancer, and that origin with tags."""
    endpoint = {"Name": "rules-edge", "Arn": {"Ref": "Balancer"}, "HTTPPort": 80, "OriginProtocolPolicy": "http-only"}
    origin = {
        "Id": "inside",
        "DomainName": {"Fn::GetAtt": ["Balancer", "DNSName"]},
        "VpcOriginConfig": {"VpcOriginId": {"Ref": "Origin"}},
    }
    behaviour = {
        "TargetOriginId": "inside",
        "ViewerProtocolPolicy": "https-only",
        "CachePolicyId": "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
    }
    config = {"Enabled": True, "Origins": [origin], "DefaultCacheBehavior": behaviour}
    return {
        **BALANCERS,
        "Origin": {
            "Type": "AWS::CloudFront::VpcOrigin",
            "Properties": {
                "VpcOriginEndpointConfig": endpoint,
                "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
            },
        },
        "Edge": {"Type": "AWS::CloudFront::Distribution", "Properties": {"DistributionConfig": config}},
    }


def test_a_vpc_origin_in_use_takes_no_new_tag(stacks: Stacks) -> None:
    rule = "vpc-origin-in-use"
    assert stacks.create("rules-edge", edge(team="a")) == "CREATE_COMPLETE", stacks.failures("rules-edge")
    assert stacks.update("rules-edge", edge(team="b")) == "UPDATE_ROLLBACK_COMPLETE"
    assert any(code_of(rule) in reason and "disassociate" in reason for reason in stacks.failures("rules-edge"))
    stacks.delete("rules-edge")
