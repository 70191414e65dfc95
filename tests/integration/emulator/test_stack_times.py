"""A stack takes AWS's minutes for its edge and for functions in a VPC, when it is asked to."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcloud.aws_time import DISTRIBUTION_CHANGED, FUNCTION_INTERFACES_GONE, VPC_ORIGIN_CHANGED, VPC_ORIGIN_CREATED
from tests.integration.emulator.cases import BALANCERS, NETWORK
from tests.integration.emulator.conftest import Emulator, Stacks, eventually, running
from tests.integration.emulator.functions import function

FACTOR = 300.0
"""An origin takes 3 s, a distribution 1 s."""
STACK = "edge"
SETTINGS = {"LOCALCLOUD_STACK_TIMES": "on", "LOCALCLOUD_TIME_FACTOR": str(FACTOR)}


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(tmp_path_factory.mktemp("emulator"), **SETTINGS) as started:
        yield started


def edge(comment: str = "one", port: int = 80) -> dict[str, Any]:
    """An origin in the VPC and the distribution before it."""
    endpoint = {
        "Name": "slow-origin",
        "Arn": {"Ref": "Balancer"},
        "HTTPPort": port,
        "OriginProtocolPolicy": "http-only",
    }
    behaviour = {
        "TargetOriginId": "one",
        "ViewerProtocolPolicy": "https-only",
        "CachePolicyId": "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
    }
    config = {
        "Comment": comment,
        "Enabled": True,
        "DefaultCacheBehavior": behaviour,
        "Origins": [
            {
                "Id": "one",
                "DomainName": {"Fn::GetAtt": ["Balancer", "DNSName"]},
                "VpcOriginConfig": {"VpcOriginId": {"Ref": "Origin"}},
            }
        ],
    }
    return {
        **BALANCERS,
        "Origin": {"Type": "AWS::CloudFront::VpcOrigin", "Properties": {"VpcOriginEndpointConfig": endpoint}},
        "Distribution": {"Type": "AWS::CloudFront::Distribution", "Properties": {"DistributionConfig": config}},
    }


def status(slow: Emulator, kind: str) -> str:
    """Status of the one origin or distribution, as a list has it; empty when there is none."""
    cloudfront = slow.client("cloudfront")
    found = (
        cloudfront.list_vpc_origins()["VpcOriginList"]
        if kind == "origin"
        else cloudfront.list_distributions()["DistributionList"]
    ).get("Items", [])
    return str(found[0]["Status"]) if found else ""


def test_a_stack_waits_for_its_origin_and_its_distribution(slow: Emulator) -> None:
    stacks = Stacks(slow.client("cloudformation"))
    began = time.monotonic()
    stacks.start_creation(STACK, edge())
    eventually(lambda: status(slow, "origin") == "Deploying", "the origin is not being deployed")
    assert stacks.status(STACK) == "CREATE_IN_PROGRESS"
    eventually(lambda: status(slow, "distribution") == "InProgress", "the distribution is not being deployed")
    assert status(slow, "origin") == "Deployed"
    assert stacks.settled(STACK) == "CREATE_COMPLETE", stacks.failures(STACK)
    assert time.monotonic() - began >= (VPC_ORIGIN_CREATED.seconds + DISTRIBUTION_CHANGED.seconds) / FACTOR
    assert status(slow, "distribution") == "Deployed"

    began = time.monotonic()
    assert stacks.update(STACK, edge("two")) == "UPDATE_COMPLETE", stacks.failures(STACK)
    assert time.monotonic() - began >= DISTRIBUTION_CHANGED.seconds / FACTOR

    # What AWS refuses, it refuses at once.
    began = time.monotonic()
    assert stacks.update(STACK, edge("two", port=81)) == "UPDATE_ROLLBACK_COMPLETE"
    assert time.monotonic() - began < VPC_ORIGIN_CHANGED.seconds / FACTOR + 1

    began = time.monotonic()
    stacks.delete(STACK)
    assert time.monotonic() - began >= (VPC_ORIGIN_CHANGED.seconds + DISTRIBUTION_CHANGED.seconds) / FACTOR
    assert status(slow, "origin") == status(slow, "distribution") == ""


def test_a_function_in_a_vpc_is_gone_when_its_interfaces_are(slow: Emulator) -> None:
    stacks = Stacks(slow.client("cloudformation"))
    outside = function("def handler(event, context): pass")
    network = {"SubnetIds": [{"Ref": "Subnet"}], "SecurityGroupIds": []}
    inside = {**outside, "Properties": {**outside["Properties"], "VpcConfig": network}}
    took = []
    for resource in (outside, inside):
        assert stacks.create("function", {**NETWORK, "Function": resource}) == "CREATE_COMPLETE"
        began = time.monotonic()
        stacks.delete("function")
        took.append(time.monotonic() - began)
    assert took[0] < FUNCTION_INTERFACES_GONE.seconds / FACTOR <= took[1]


def test_an_emulator_ends_while_a_stack_takes_its_time(tmp_path: Path) -> None:
    with running(tmp_path, LOCALCLOUD_STACK_TIMES="on", LOCALCLOUD_TIME_FACTOR="1") as slow:
        Stacks(slow.client("cloudformation")).start_creation(STACK, edge())
        eventually(lambda: status(slow, "origin") == "Deploying", "the origin is not being deployed")
        slow.process.send_signal(signal.SIGINT)
        slow.process.wait(10)
