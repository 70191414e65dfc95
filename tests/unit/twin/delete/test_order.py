"""Whose a resource is, and in which order stacks go."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from twin.delete.stacks import deletion_waves, stacks_read, with_dependencies
from twin.inventory.identifiers import id_aliases, ids_of, tags_of
from twin.inventory.ownership import Ownership, longer_prefixes, owned_ids
from twin.target.stage import Stage

HASH, RANDOM = "1A2B3C4D", "AB12" * 3
"""Ends of the CDK's logical ids and of the names that CloudFormation gives."""
DEV = Ownership(Stage(name="dev", region="us-east-1"))


@pytest.mark.parametrize(
    "name",
    [
        "twin-dev-llm",
        "arn:aws:sns:us-east-1:000000000000:twin-dev-evaluation-Alerts1",
        "http://127.0.0.1:4566/000000000000/twin-dev-evaluation-Samples",
        "/aws/lambda/twin-dev-evaluation-Notify",
        "service/twin-dev-business-Cluster/twin-dev-business-Service",
        "/twin/dev/evaluation/watermark",
        "twin-dev-overview",
        "twin-dev-weights-000000000000-eu-central-1",
        "/aws/sagemaker/InferenceComponents/twin-dev-llm-model",
        "/aws/vendedlogs/states/twin-dev-judging",
        f"twin-dev-vectors-backups{HASH.lower()}-{RANDOM.lower()}",
        f"twin-dev-evaluation-Collect{HASH}-{RANDOM}",
    ],
)
def test_names_of_the_stage_are_its_own(name: str) -> None:
    assert DEV.owns(name)


@pytest.mark.parametrize(
    "name",
    [
        "twin-development-llm",
        "twin-prod-llm",
        "not-twin-dev-llm",
        "CDKToolkit",
        "",
        "twin-dev-photos",
        "twin-dev-llm-photos",
        "twin-dev-eu-weights-000000000000-us-east-1",
        "twin-dev-eu/hub-token",
        "/apps/twin-dev-llm",
        "/aws/lambda/twin-dev-tools",
        "twin-dev-weights-backup",
        "/twin/dev-eu/evaluation/watermark",
    ],
)
def test_names_of_others_are_not(name: str) -> None:
    assert not DEV.owns(name)


@pytest.mark.parametrize(
    "item",
    [
        {"Tags": [{"Key": "project", "Value": "llm-twin"}, {"Key": "stage", "Value": "dev"}]},
        {"TagSet": [{"Key": "project", "Value": "llm-twin"}, {"Key": "stage", "Value": "dev"}]},
        {"tags": [{"key": "project", "value": "llm-twin"}, {"key": "stage", "value": "dev"}]},
        {"Tags": {"project": "llm-twin", "stage": "dev"}},
    ],
)
def test_tags_make_a_resource_the_stages(item: Any) -> None:
    assert DEV.owns("sg-1", item)
    assert tags_of(item)["stage"] == "dev"


def test_another_stages_tags_do_not() -> None:
    assert not DEV.owns("sg-1", {"Tags": {"project": "llm-twin", "stage": "prod"}})
    assert not DEV.owns("sg-1", {"Tags": {"project": "other", "stage": "dev"}})


def test_a_tag_that_names_another_beats_name_and_history() -> None:
    own = Ownership(DEV.stage, history=frozenset({"vpc-1"}), foreign=frozenset({"twin-dev-llm", "twin-dev-judging"}))
    assert not own.owns("twin-dev-overview", {"Tags": {"project": "llm-twin", "stage": "dev-eu"}})
    assert not own.owns("eni-1", {"VpcId": "vpc-1", "TagSet": [{"Key": "project", "Value": "shop"}]})
    assert not own.owns("twin-dev-llm")
    # What the stage's own tags or history say is not undone by an equal name elsewhere.
    assert own.owns("twin-dev-llm", {"Tags": {"project": "llm-twin", "stage": "dev"}})
    assert replace(own, history=frozenset({"twin-dev-judging"})).owns("twin-dev-judging")
    assert own.owns("twin-dev-overview", {"Tags": {"owner": "marketing"}})


def test_what_a_stack_held_and_what_is_in_it_are_the_stages() -> None:
    own = Ownership(DEV.stage, history=frozenset({"vpc-1", *id_aliases("arn:aws:sns:us-east-1:0:plain")}))
    assert own.owns("eni-1", {"NetworkInterfaceId": "eni-1", "VpcId": "vpc-1"})
    assert own.owns("plain")
    assert not own.owns("eni-2", {"NetworkInterfaceId": "eni-2", "VpcId": "vpc-2"})


def test_a_stage_whose_name_goes_on_is_a_neighbour_and_history_beats_names() -> None:
    stacks = ["twin-dev-llm", "twin-dev-network", "twin-dev-2-network", "twin-dev-llm-guard", "twin-development-llm"]
    found = longer_prefixes(DEV.stage, stacks)
    assert found == ("twin-dev-2", "twin-dev-llm")
    own = Ownership(DEV.stage, found, frozenset({"twin-dev-llm-model"}))
    assert own.owns("twin-dev-llm")
    assert own.owns("twin-dev-llm-model")
    assert not own.owns("twin-dev-2-llm-model")
    assert not own.owns("/aws/lambda/twin-dev-llm-guard-Expire")


def test_what_is_kept_is_not_to_be_deleted() -> None:
    own = Ownership(DEV.stage, kept=frozenset({"vpc-1"}), kept_stacks=("twin-dev-vectors",))
    assert not own.owns("twin-dev-vectors")
    assert not own.owns("twin-dev-vectors-data")
    assert not own.owns("twin-dev-subnet", {"VpcId": "vpc-1"})
    assert own.owns("twin-dev-llm")


class Answering(Stage):
    """A stage whose AWS gives these answers: the emulator's groups start no machines."""

    def client(self, service: str, **config: Any) -> Any:
        held = [
            {"ResourceType": "AWS::AutoScaling::AutoScalingGroup", "PhysicalResourceId": "twin-dev-vectors-Group"},
            {"ResourceType": "AWS::EC2::Volume", "PhysicalResourceId": "vol-data"},
        ]
        disk = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeId": "vol-root"}}
        client = boto3.client(service, region_name=self.region, aws_access_key_id="x", aws_secret_access_key="x")
        stub = Stubber(client)
        if service == "autoscaling":
            found = {"AutoScalingGroupName": "g", "MinSize": 1, "MaxSize": 1, "DesiredCapacity": 1}
            machine = {"InstanceId": "i-1", "AvailabilityZone": "a", "LifecycleState": "InService"}
            more = {"DefaultCooldown": 1, "AvailabilityZones": ["a"], "HealthCheckType": "EC2", "CreatedTime": 0}
            machine |= {"HealthStatus": "Healthy", "ProtectedFromScaleIn": False}
            group = {**found, **more, "Instances": [machine]}
            named = {"AutoScalingGroupNames": ["twin-dev-vectors-Group"]}
            stub.add_response("describe_auto_scaling_groups", {"AutoScalingGroups": [group]}, named)
        elif service == "ec2":
            machines = [{"Instances": [{"InstanceId": "i-1", "BlockDeviceMappings": [disk]}]}]
            taken = {"Snapshots": [{"SnapshotId": "snap-1", "VolumeId": "vol-data"}]}
            wanted = [{"Name": "volume-id", "Values": ["vol-data"]}]
            # Each asks with a client of its own, in this order.
            if "ec2" not in self._clients:
                self._clients["ec2"] = client
                stub.add_response("describe_snapshots", taken, {"OwnerIds": ["self"], "Filters": wanted})
            else:
                stub.add_response("describe_instances", {"Reservations": machines}, {"InstanceIds": ["i-1"]})
        else:
            more = {"LogicalResourceId": "L", "LastUpdatedTimestamp": 0, "ResourceStatus": "CREATE_COMPLETE"}
            stub.add_response("list_stack_resources", {"StackResourceSummaries": [{**more, **one} for one in held]})
        stub.activate()
        return client


def test_a_kept_stack_keeps_its_groups_machines_and_the_snapshots_of_its_volumes() -> None:
    found = owned_ids(Answering("dev", "us-east-1"), "twin-dev-vectors")
    assert found == {"twin-dev-vectors", "twin-dev-vectors-Group", "vol-data", "snap-1", "i-1", "vol-root"}


def test_an_id_is_found_however_a_list_spells_it() -> None:
    layer = id_aliases("arn:aws:lambda:us-east-1:000000000000:layer:dependencies:3")
    assert {"dependencies", "dependencies:3"} <= layer
    assert "service/c/s" in id_aliases("service/c/s|ecs:service:DesiredCount|ecs")
    assert "q" in id_aliases("https://sqs.us-east-1.amazonaws.com/000000000000/q")
    assert id_aliases("") == set()
    assert ids_of({"TopicArn": "arn:aws:sns:r:0:t", "Owner": "x", "Count": 1}) == id_aliases("arn:aws:sns:r:0:t")


USED_BY = {"network": {"business", "vectors"}, "evaluation": {"business", "guard"}, "business": set(), "vectors": set()}


def test_an_unused_stack_goes_first() -> None:
    everything = ("network", "evaluation", "business", "guard", "vectors")
    assert deletion_waves(USED_BY, everything) == [["business", "guard", "vectors"], ["evaluation", "network"]]
    # Nothing is waited for that goes round in a circle: CloudFormation's own refusal then says why.
    assert deletion_waves({"a": {"b"}, "b": {"a"}}, ("a", "b")) == [["a", "b"]]


def test_what_is_kept_keeps_what_it_uses() -> None:
    assert with_dependencies(USED_BY, {"vectors"}) == {"vectors", "network"}
    assert with_dependencies(USED_BY, {"nothing"}) == set()


def test_a_template_says_whose_outputs_it_reads() -> None:
    read = {"Fn::GetStackOutput": {"StackName": "twin-dev-network", "OutputName": "Vpc"}}
    assert stacks_read({"Resources": {"A": {"Properties": {"List": [read, {"Ref": "B"}]}}}}) == {"twin-dev-network"}
    assert stacks_read({"Resources": {}}) == set()
