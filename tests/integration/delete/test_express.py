"""Stacks are deleted in CloudFormation's express mode: gone before AWS is done, so that the proof has to wait."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.integration.delete.conftest import Cloud
from tests.integration.emulator.conftest import eventually
from twin.delete import delete as command
from twin.delete.delete import delete

FACTOR = "40"
"""Of the emulator: a distribution goes 7.5 seconds after its stack, a function's interfaces after half a minute."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(command, "key_file", lambda stage: tmp_path / "key")


def test_what_aws_still_deletes_is_waited_for_and_named(cloud: Cloud) -> None:
    """The distribution and its origin outlive every stack, and the origin's interfaces hold the network meanwhile."""
    cloud.create_all(["network", "llm", "evaluation", "business"])
    cloudfront, ec2, said = cloud.emulator.client("cloudfront"), cloud.emulator.client("ec2"), list[str]()

    def left() -> list[str]:
        """What AWS has not deleted: distributions, VPC origins, and the states of interfaces."""
        interfaces = ec2.describe_network_interfaces()["NetworkInterfaces"]
        return [
            *(each["Id"] for each in cloudfront.list_distributions()["DistributionList"].get("Items", ())),
            *(each["Id"] for each in cloudfront.list_vpc_origins()["VpcOriginList"].get("Items", ())),
            *{each["Status"] for each in interfaces},
        ]

    distribution, origin = left()
    assert {distribution, origin} <= set(cloud.physical_ids("business").values())
    cloud.cloudformation.delete_stack(StackName=cloud.name("business"), DeploymentConfig={"Mode": "EXPRESS"})
    eventually(lambda: cloud.name("business") not in cloud.standing(), "the stack is still there")
    assert left() == [distribution, origin, "in-use"]
    assert delete(cloud.stage, said.append) == []
    assert left() == []
    assert any("has dependencies and cannot be deleted" in line for line in said), said


def test_the_last_wait_says_for_what(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the network kept, only the proof waits; longer than for what nobody deletes."""
    monkeypatch.setattr(command, "SETTLE_SECONDS", 0.5)
    cloud.create_all(["network", "llm", "evaluation", "business"])
    said: list[str] = []
    kept = [cloud.name("network")]
    assert command.take_down(cloud.stage, kept, said.append) == []
    (waits, *_) = [line for line in said if "until AWS has deleted" in line]
    assert "1 VPC origin, 1 distribution" in waits
    assert delete(cloud.stage, said.append) == []


def test_a_function_in_the_network_holds_it_after_its_stack(cloud: Cloud) -> None:
    cloud.create_all(["network"])
    subnet = next(found for found in cloud.physical_ids("network").values() if found.startswith("subnet-"))
    template = copy.deepcopy(cloud.templates["evaluation"])
    function = next(each for each in template["Resources"].values() if each["Type"] == "AWS::Lambda::Function")
    function["Properties"]["VpcConfig"] = {"SubnetIds": [subnet], "SecurityGroupIds": []}
    assert cloud.create("evaluation", template) == "CREATE_COMPLETE", cloud.failures("evaluation")
    cloud.cloudformation.delete_stack(StackName=cloud.name("evaluation"), DeploymentConfig={"Mode": "EXPRESS"})
    eventually(lambda: cloud.name("evaluation") not in cloud.standing(), "the stack is still there")
    said: list[str] = []
    assert delete(cloud.stage, said.append) == []
    assert any(f"The subnet '{subnet}' has dependencies" in line for line in said), said
    assert f"{cloud.name('network'):<24} deleted" in said
