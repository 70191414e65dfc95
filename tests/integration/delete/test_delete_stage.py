"""A deletion proves itself: in order, again after an interruption, with what AWS leaves, with what is kept."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from infra.constructs.delivery.permissions import Permissions
from infra.names import last_good_parameter
from infra.settings.deployment import load_settings
from tests.integration.delete.conftest import ACTIONS, ORDER, TAGS, Cloud, failing, holding
from tests.integration.emulator.conftest import eventually
from twin import app as root
from twin.ask.ingest_task import STARTED_BY
from twin.delete import delete as command
from twin.delete.delete import delete
from twin.delete.plan import Removal, removals
from twin.delete.stack_deletion import ATTEMPTS
from twin.inventory.ownership import Ownership, snapshots_of
from twin.inventory.survivors import survivors
from twin.target import stage as stages
from twin.target.errors import TwinError

OTHERS = last_good_parameter("local-2")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(command, "key_file", lambda stage: tmp_path / "key")


@pytest.fixture
def deployed(cloud: Cloud) -> Cloud:
    cloud.create_all()
    return cloud


def places(planned: list[Removal], *names: str) -> list[int]:
    return [next(index for index, each in enumerate(planned) if each.name == name) for name in names]


def test_a_dry_run_says_the_order_and_changes_nothing(deployed: Cloud) -> None:
    planned = removals(deployed.stage)
    ids = {physical_id for part in ORDER for physical_id in deployed.physical_ids(part).values()}
    assert ids <= {each.name for each in planned}
    component, *later = places(planned, "twin-local-llm-model", *map(deployed.name, ("business", "network")))
    assert component == 0
    assert later == sorted(later)
    (evaluation,) = places(planned, deployed.name("evaluation"))
    assert evaluation > max(places(planned, *map(deployed.name, ("business", "guard"))))
    assert {deployed.status(part) for part in ORDER} == {"CREATE_COMPLETE"}


def test_everything_goes_and_a_second_run_finds_nothing_to_do(deployed: Cloud) -> None:
    said: list[str] = []
    assert delete(deployed.stage, said.append) == []
    gone = [line.split()[0] for line in said if line.endswith(" deleted")]
    assert sorted(gone) == sorted(map(deployed.name, ORDER))
    assert gone.index(deployed.name("business")) < gone.index(deployed.name("network"))
    assert gone.index(deployed.name("guard")) < gone.index(deployed.name("evaluation"))
    again: list[str] = []
    assert delete(deployed.stage, again.append) == []
    assert again == []
    assert removals(deployed.stage) == []


@pytest.mark.parametrize("word", ["inference component", "deleting", "business deleted"])
def test_what_is_cut_short_is_finished_by_the_next_run(deployed: Cloud, word: str) -> None:
    def interrupt(line: str) -> None:
        if word in " ".join(line.split()):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        delete(deployed.stage, interrupt)
    assert delete(deployed.stage, lambda line: None) == []


def test_a_deletion_that_fails_at_first_is_begun_again(cloud: Cloud) -> None:
    template = cloud.templates["network"]
    vpc = next(name for name, found in template["Resources"].items() if found["Type"] == "AWS::EC2::VPC")
    assert cloud.create("network", failing(template, vpc, delete=2)) == "CREATE_COMPLETE"
    said: list[str] = []
    assert delete(cloud.stage, said.append) == []
    assert len([line for line in said if "is deleted again" in line]) == 2


def test_a_half_made_stack_and_an_unexecuted_change_set_go_too(cloud: Cloud) -> None:
    template = cloud.templates["llm"]
    last = list(template["Resources"])[-1]
    assert cloud.create("llm", failing(template, last, create="no"), rollback=False) == "CREATE_FAILED"
    cloud.cloudformation.create_change_set(
        StackName=cloud.name("network"),
        ChangeSetName="looked-at",
        ChangeSetType="CREATE",
        TemplateBody=json.dumps(cloud.templates["network"]),
        Tags=TAGS,
    )
    assert delete(cloud.stage, lambda line: None) == []


BUCKET = holding(
    Bucket={"Type": "AWS::S3::Bucket", "Properties": {"VersioningConfiguration": {"Status": "Enabled"}}},
    Images={"Type": "AWS::ECR::Repository", "Properties": {"RepositoryName": "twin-local-images"}},
)


def test_a_bucket_is_emptied_of_every_version(cloud: Cloud) -> None:
    assert cloud.create("vectors", BUCKET) == "CREATE_COMPLETE", cloud.failures("vectors")
    bucket = cloud.physical_ids("vectors")["Bucket"]
    s3 = cloud.emulator.client("s3")
    for body in (b"one", b"two"):
        s3.put_object(Bucket=bucket, Key="snapshot", Body=body)
    s3.delete_object(Bucket=bucket, Key="snapshot")
    s3.create_multipart_upload(Bucket=bucket, Key="half")
    said: list[str] = []
    assert delete(cloud.stage, said.append) == []
    assert [line for line in said if "emptied" in line]
    assert bucket not in [found["Name"] for found in s3.list_buckets()["Buckets"]]


def _late_logs(cloud: Cloud) -> None:
    cloud.emulator.client("logs").create_log_group(logGroupName="/aws/lambda/twin-local-evaluation-Collect1")


def _orphaned_endpoint(cloud: Cloud) -> None:
    assert cloud.create("llm") == "CREATE_COMPLETE"
    resources = cloud.templates["llm"]["Resources"]
    retained = {
        name: {**found, "DeletionPolicy": "Retain"} for name, found in resources.items() if "Sage" in found["Type"]
    }
    template = {**cloud.templates["llm"], "Resources": {**resources, **retained}}
    assert cloud.update("llm", template) == "UPDATE_COMPLETE"
    cloud.cloudformation.delete_stack(StackName=cloud.name("llm"))


def _secret_in_its_recovery_window(cloud: Cloud) -> None:
    secrets = cloud.emulator.client("secretsmanager")
    secrets.create_secret(Name="Slack", SecretString="x", Tags=TAGS)
    secrets.delete_secret(SecretId="Slack", RecoveryWindowInDays=7)


def _snapshot_of_a_policy(cloud: Cloud) -> None:
    ec2 = cloud.emulator.client("ec2")
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=4)["VolumeId"]
    ec2.create_snapshot(VolumeId=volume, TagSpecifications=[{"ResourceType": "snapshot", "Tags": TAGS}])
    ec2.delete_volume(VolumeId=volume)


def _last_good_release(cloud: Cloud) -> None:
    for name in (last_good_parameter(cloud.stage.name), OTHERS):
        cloud.emulator.client("ssm").put_parameter(Name=name, Value="{}", Type="String", Overwrite=True)


@pytest.mark.parametrize(
    "leave",
    [_late_logs, _orphaned_endpoint, _secret_in_its_recovery_window, _snapshot_of_a_policy, _last_good_release],
)
def test_what_aws_leaves_without_a_stack_is_taken_away(cloud: Cloud, leave: Callable[[Cloud], None]) -> None:
    leave(cloud)
    assert removals(cloud.stage) != []
    assert delete(cloud.stage, lambda line: None) == []
    assert removals(cloud.stage) == []
    listed = cloud.emulator.client("secretsmanager").list_secrets(IncludePlannedDeletion=True)["SecretList"]
    assert "Slack" not in [secret["Name"] for secret in listed]
    parameters = {each["Name"] for each in cloud.emulator.client("ssm").describe_parameters()["Parameters"]}
    assert {name for name in parameters if "last-good" in name} <= {OTHERS}


def _refused(**_: Any) -> None:
    raise ClientError(
        {"Error": {"Code": "UnauthorizedOperation", "Message": "You are not authorized."}}, "DeleteNetworkInterface"
    )


def test_an_interface_that_belongs_to_aws_is_waited_for(cloud: Cloud) -> None:
    """It holds its subnet, and a role whose right depends on tags is refused: AWS itself takes it away."""
    cloud.create_all(["network"])
    ec2 = cloud.emulator.client("ec2")
    subnet = next(found for found in cloud.physical_ids("network").values() if found.startswith("subnet-"))
    tags = [{"ResourceType": "network-interface", "Tags": TAGS}]
    made = ec2.create_network_interface(SubnetId=subnet, TagSpecifications=tags)["NetworkInterface"]
    events, said = cloud.stage.client("ec2").meta.events, list[str]()
    events.register("before-call.ec2.DeleteNetworkInterface", _refused)

    def take_away() -> None:
        """As AWS does, once more attempts were made than another reason gets."""
        refused = f"{made['NetworkInterfaceId']}: You are not authorized."
        eventually(lambda: sum(refused in line for line in said) > ATTEMPTS + 1, "the deletion was given up")
        ec2.delete_network_interface(NetworkInterfaceId=made["NetworkInterfaceId"])

    aws = threading.Thread(target=take_away)
    aws.start()
    try:
        assert delete(cloud.stage, said.append) == []
    finally:
        aws.join()
        events.unregister("before-call.ec2.DeleteNetworkInterface", _refused)
    assert f"network interface        {made['NetworkInterfaceId']}: You are not authorized." in said
    assert any(f"The subnet '{subnet}' has dependencies and cannot be deleted." in line for line in said)
    assert f"{cloud.name('network'):<24} deleted" in said
    assert len([line for line in said if "AWS still deletes what is in it" in line]) == 1


def test_snapshots_of_a_kept_volume_are_kept(cloud: Cloud) -> None:
    ec2 = cloud.emulator.client("ec2")
    tagged = [{"ResourceType": "snapshot", "Tags": TAGS}]
    volumes = [ec2.create_volume(AvailabilityZone="us-east-1a", Size=4)["VolumeId"] for _ in range(2)]
    taken = [ec2.create_snapshot(VolumeId=volume, TagSpecifications=tagged)["SnapshotId"] for volume in volumes]
    assert snapshots_of(cloud.stage, volumes[:1]) == {taken[0]}
    kept = Ownership(cloud.stage, kept=frozenset(snapshots_of(cloud.stage, volumes[:1])))
    assert [found.name for found in survivors(cloud.stage, own=kept)] == taken[1:]
    assert delete(cloud.stage, lambda line: None) == []
    assert ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []
    for volume in volumes:
        ec2.delete_volume(VolumeId=volume)


def test_another_stage_whose_name_goes_on_is_left_alone(cloud: Cloud) -> None:
    client, logs = cloud.cloudformation, cloud.emulator.client("logs")
    theirs = [dict(TAGS[0]), {"Key": "stage", "Value": "local-2"}]
    own = json.dumps({"Key": "stage", "Value": "local"})
    body = json.dumps(cloud.templates["network"])
    assert own in body
    client.create_stack(StackName="twin-local-2-network", TemplateBody=body.replace(own, json.dumps(theirs[1])))
    client.get_waiter("stack_create_complete").wait(StackName="twin-local-2-network", WaiterConfig={"Delay": 1})
    logs.create_log_group(logGroupName="/aws/lambda/twin-local-2-evaluation-Collect1")
    cloud.emulator.client("secretsmanager").create_secret(Name="Other", SecretString="x", Tags=theirs)
    try:
        assert survivors(cloud.stage) == []
        assert delete(cloud.stage, lambda line: None) == []
        status = client.describe_stacks(StackName="twin-local-2-network")["Stacks"][0]["StackStatus"]
        assert "DELETE" not in status
        assert logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/twin-local-2")["logGroups"]
        assert cloud.emulator.client("secretsmanager").describe_secret(SecretId="Other")["Name"] == "Other"
    finally:
        client.delete_stack(StackName="twin-local-2-network")
        logs.delete_log_group(logGroupName="/aws/lambda/twin-local-2-evaluation-Collect1")
        cloud.emulator.client("secretsmanager").delete_secret(SecretId="Other", ForceDeleteWithoutRecovery=True)


def test_a_task_of_the_ingest_does_not_keep_its_cluster(cloud: Cloud) -> None:
    """ECS deletes no cluster in which a task runs: rule `cluster-with-tasks`. Tasks of others are left alone."""
    ecs, said = cloud.emulator.client("ecs"), list[str]()
    assert cloud.create("business", holding(Cluster={"Type": "AWS::ECS::Cluster"})) == "CREATE_COMPLETE"
    ecs.create_cluster(clusterName="strange")
    ecs.register_task_definition(family="ingest", containerDefinitions=[{"name": "a", "image": "b"}])
    for cluster in (cloud.physical_ids("business")["Cluster"], "strange"):
        ecs.run_task(cluster=cluster, taskDefinition="ingest", startedBy=STARTED_BY)
    assert delete(cloud.stage, said.append) == [], said
    assert [line for line in said if line.startswith("running task") and line.endswith(" emptied")], said
    (task,) = ecs.list_tasks(cluster="strange")["taskArns"]
    ecs.stop_task(cluster="strange", task=task)
    ecs.delete_cluster(cluster="strange")


def test_survivors_are_found_by_tag_and_by_the_history_of_the_stacks(cloud: Cloud) -> None:
    topic = {"Type": "AWS::SNS::Topic", "DeletionPolicy": "Retain", "Properties": {"TopicName": "plain"}}
    assert cloud.create("vectors", holding(Topic=topic)) == "CREATE_COMPLETE"
    sqs = cloud.emulator.client("sqs")
    queue = sqs.create_queue(QueueName="by-hand", tags={tag["Key"]: tag["Value"] for tag in TAGS})["QueueUrl"]
    ec2, tags = cloud.emulator.client("ec2"), [{"ResourceType": "instance", "Tags": TAGS}]
    started = ec2.run_instances(ImageId="ami-1", MinCount=1, MaxCount=1, TagSpecifications=tags)["Instances"]
    machine = started[0]["InstanceId"]
    cloud.cloudformation.delete_stack(StackName=cloud.name("vectors"))
    try:
        found = {(each.kind, each.name.replace("/", ":").split(":")[-1]) for each in survivors(cloud.stage)}
        assert ("topic", "plain") in found
        assert "by-hand" in {name for _, name in found}
        assert ("instance", machine) in found
    finally:
        sqs.delete_queue(QueueUrl=queue)
        ec2.terminate_instances(InstanceIds=[machine])
        cloud.emulator.client("sns").delete_topic(TopicArn="arn:aws:sns:us-east-1:000000000000:plain")


MACHINES = {
    "Template": {
        "Type": "AWS::EC2::LaunchTemplate",
        "Properties": {"LaunchTemplateData": {"InstanceType": "t4g.small", "ImageId": "ami-12345678"}},
    },
    "Group": {
        "Type": "AWS::AutoScaling::AutoScalingGroup",
        "Properties": {
            "MinSize": "1",
            "MaxSize": "1",
            "AvailabilityZones": ["us-east-1a"],
            "LaunchTemplate": {
                "LaunchTemplateId": {"Ref": "Template"},
                "Version": {"Fn::GetAtt": ["Template", "LatestVersionNumber"]},
            },
            "Tags": [{**tag, "PropagateAtLaunch": True} for tag in TAGS],
        },
    },
}


def groups(cloud: Cloud) -> int:
    return len(cloud.emulator.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"])


def test_vectors_can_be_kept_with_the_network_that_they_are_in(deployed: Cloud) -> None:
    name = next(iter(deployed.templates["network"]["Outputs"]))
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "twin-local-vectors-data"}}
    network = {"Fn::GetStackOutput": {"StackName": deployed.name("network"), "OutputName": name}}
    group = {"Type": "AWS::Logs::LogGroup", "Properties": {"Tags": [{"Key": "network", "Value": network}]}}
    template = holding(Bucket=bucket, Logs=group, **MACHINES)
    assert deployed.create("vectors", template) == "CREATE_COMPLETE", deployed.failures("vectors")
    s3, ec2 = deployed.emulator.client("s3"), deployed.emulator.client("ec2")
    tags = [{"ResourceType": "volume", "Tags": TAGS}]
    ec2.create_volume(AvailabilityZone="us-east-1a", Size=4, TagSpecifications=tags)
    s3.put_object(Bucket="twin-local-vectors-data", Key="snapshot", Body=b"points")
    assert deployed.name("network") not in [each.name for each in removals(deployed.stage, keep=["vectors"])]
    assert delete(deployed.stage, lambda line: None, keep=["vectors"]) == []
    standing = {stack["StackName"] for stack in deployed.cloudformation.describe_stacks()["Stacks"]}
    assert {deployed.name("network"), deployed.name("vectors")} <= standing
    assert deployed.name("llm") not in standing
    assert s3.get_object(Bucket="twin-local-vectors-data", Key="snapshot")["Body"].read() == b"points"
    assert groups(deployed) == 1
    assert [volume for volume in ec2.describe_volumes()["Volumes"] if volume.get("Tags") == TAGS] == []
    assert delete(deployed.stage, lambda line: None) == []
    assert groups(deployed) == 0


def test_only_what_holds_data_can_be_kept(cloud: Cloud) -> None:
    with pytest.raises(TwinError, match="only vectors"):
        delete(cloud.stage, lambda line: None, keep=["llm"])


def test_a_protected_stack_is_a_sentence(cloud: Cloud) -> None:
    cloud.create_all(["network"])
    stack, client = cloud.name("network"), cloud.cloudformation
    client.update_termination_protection(StackName=stack, EnableTerminationProtection=True)
    with pytest.raises(TwinError, match="update-termination-protection"):
        delete(cloud.stage, lambda line: None)
    client.update_termination_protection(StackName=stack, EnableTerminationProtection=False)
    assert delete(cloud.stage, lambda line: None) == []


def test_the_teardown_workflow_may_do_all_that_was_done(cloud: Cloud) -> None:
    """After the tests above, which take away everything that a delete knows of."""
    permissions = Permissions(cdk.Stack(cdk.App(), "Roles"), load_settings("dev"))
    granted = {action for statement in permissions.of("teardown") for action in statement.actions}
    removed = {action for action in ACTIONS if "Delete" in action}
    assert {"cloudformation:DeleteStack", "sagemaker:DeleteEndpoint", "s3:DeleteObjectVersion"} <= removed
    # Everybody may ask who they are.
    assert ACTIONS - granted == {"sts:GetCallerIdentity"}


def test_survivors_are_a_table_and_exit_code_1(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last test of the module: what it leaves goes with the emulator."""
    template = cloud.templates["network"]
    vpc = next(name for name, found in template["Resources"].items() if found["Type"] == "AWS::EC2::VPC")
    assert cloud.create("network", failing(template, vpc, delete=99)) == "CREATE_COMPLETE"
    monkeypatch.setattr(stages, "connect", lambda name: cloud.stage)
    monkeypatch.setenv("COLUMNS", "250")
    ran = CliRunner().invoke(root.app, ["delete"])
    assert ran.exit_code == 1, ran.output
    for word in ("survivors", "VPC", cloud.name("network"), "failed to delete"):
        assert word in ran.output
