"""What IAM decides a call by: its action, its resources, tags and networks, and what else a call needs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from localcloud.emulator.authorization.actions import NAMES
from tests.github_tokens import REGION, claims, session
from tests.integration.emulator.conftest import Aws, Emulator

ACCOUNT = "000000000000"
GITHUB = "token.actions.githubusercontent.com"
OTHER = "763104351884"
ALLOWED, REFUSED = True, False


class Role:
    """A role of the account, its sessions and its policy."""

    def __init__(self, emulator: Emulator, name: str) -> None:
        self._emulator, self.name = emulator, name
        self.iam = emulator.client("iam")
        account = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=_document(account))

    def may(self, *statements: Mapping[str, Any]) -> None:
        """Give it exactly these statements, without their effect."""
        allowed = ({"Effect": "Allow", **each} for each in statements)
        self.iam.put_role_policy(RoleName=self.name, PolicyName="own", PolicyDocument=_document(*allowed))

    def client(self, service: str) -> Any:
        arn = f"arn:aws:iam::{ACCOUNT}:role/{self.name}"
        keys = self._emulator.client("sts").assume_role(RoleArn=arn, RoleSessionName="one")["Credentials"]
        return boto3.client(
            service,
            endpoint_url=self._emulator.url,
            region_name=REGION,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )


def _document(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture
def role(emulator: Emulator) -> Iterator[Role]:
    made = Role(emulator, "tried")
    yield made
    if made.iam.list_role_policies(RoleName=made.name)["PolicyNames"]:
        made.iam.delete_role_policy(RoleName=made.name, PolicyName="own")
    made.iam.delete_role(RoleName=made.name)


def arn(service: str, resource: str, account: str = ACCOUNT) -> str:
    return f"arn:aws:{service}:{REGION}:{account}:{resource}"


def refused(client: Any, operation: str, **arguments: Any) -> str:
    """The action that IAM refused; empty when the call got past it, whatever the service answers then."""
    try:
        getattr(client, operation)(**arguments)
    except ClientError as error:
        said = str(error)
        if "is not authorized to perform: " not in said:
            return ""
        return said.partition("is not authorized to perform: ")[2].partition(" ")[0]
    return ""


@pytest.mark.parametrize(
    ("action", "resource", "service", "operation", "arguments", "outcome"),
    [
        ("budgets:ViewBudget", "*", "budgets", "describe_budgets", {"AccountId": ACCOUNT}, ALLOWED),
        ("budgets:DescribeBudgets", "*", "budgets", "describe_budgets", {"AccountId": ACCOUNT}, REFUSED),
        ("ec2:DescribeVolumes", arn("ec2", "volume/*"), "ec2", "describe_volumes", {"VolumeIds": ["vol-1"]}, REFUSED),
        ("ec2:DescribeVolumes", "*", "ec2", "describe_volumes", {"VolumeIds": ["vol-1"]}, ALLOWED),
        ("ec2:DeleteSnapshot", arn("ec2", "snapshot/*"), "ec2", "delete_snapshot", {"SnapshotId": "snap-1"}, REFUSED),
        (
            "ec2:DeleteSnapshot",
            arn("ec2", "snapshot/*", ""),
            "ec2",
            "delete_snapshot",
            {"SnapshotId": "snap-1"},
            ALLOWED,
        ),
        (
            "ecr:BatchGetImage",
            arn("ecr", "repository/vllm"),
            "ecr",
            "batch_get_image",
            {"registryId": OTHER, "repositoryName": "vllm", "imageIds": [{"imageTag": "1"}]},
            REFUSED,
        ),
        (
            "ecr:BatchGetImage",
            arn("ecr", "repository/vllm", OTHER),
            "ecr",
            "batch_get_image",
            {"registryId": OTHER, "repositoryName": "vllm", "imageIds": [{"imageTag": "1"}]},
            ALLOWED,
        ),
        (
            "logs:GetLogEvents",
            arn("logs", "log-group:twin-dev-a"),
            "logs",
            "get_log_events",
            {"logGroupName": "twin-dev-a", "logStreamName": "one"},
            REFUSED,
        ),
        (
            "logs:GetLogEvents",
            arn("logs", "log-group:twin-dev-a:log-stream:*"),
            "logs",
            "get_log_events",
            {"logGroupName": "twin-dev-a", "logStreamName": "one"},
            ALLOWED,
        ),
        (
            "scheduler:GetSchedule",
            arn("scheduler", "schedule/default/*"),
            "scheduler",
            "get_schedule",
            {"GroupName": "night", "Name": "one"},
            REFUSED,
        ),
        (
            "scheduler:GetSchedule",
            arn("scheduler", "schedule/night/*"),
            "scheduler",
            "get_schedule",
            {"GroupName": "night", "Name": "one"},
            ALLOWED,
        ),
        (
            "ecs:DeregisterTaskDefinition",
            arn("ecs", "task-definition/*"),
            "ecs",
            "deregister_task_definition",
            {"taskDefinition": "one:1"},
            REFUSED,
        ),
        (
            "ecs:DeleteTaskDefinitions",
            arn("ecs", "task-definition/ours*"),
            "ecs",
            "delete_task_definitions",
            {"taskDefinitions": ["ours:1", "theirs:1"]},
            REFUSED,
        ),
        (
            "ecs:DeleteTaskDefinitions",
            arn("ecs", "task-definition/ours*"),
            "ecs",
            "delete_task_definitions",
            {"taskDefinitions": ["ours:1", "ours:2"]},
            ALLOWED,
        ),
    ],
)
def test_a_call_is_decided_by_the_action_and_the_resource_of_awss_tables(
    role: Role, action: str, resource: str, service: str, operation: str, arguments: dict[str, Any], outcome: bool
) -> None:
    role.may({"Action": action, "Resource": resource})
    said = refused(role.client(service), operation, **arguments)
    assert (said == "") == outcome, said
    if not outcome and action in NAMES:
        assert said == NAMES[action]


def test_an_interface_is_decided_by_its_tags_and_its_network(role: Role, aws: Aws) -> None:
    """One that a service made for itself has no tags of the stage: a right that asks for them does not reach it."""
    ec2 = aws("ec2")
    network = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=network, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    ours, services = (
        ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"] for _ in range(2)
    )
    ec2.create_tags(Resources=[ours], Tags=[{"Key": "stage", "Value": "dev"}])
    delete = {"Action": "ec2:DeleteNetworkInterface", "Resource": arn("ec2", "network-interface/*")}
    by_tag = {"StringEquals": {"aws:ResourceTag/stage": "dev"}}
    role.may({**delete, "Condition": by_tag})
    client = role.client("ec2")
    assert refused(client, "delete_network_interface", NetworkInterfaceId=services) == "ec2:DeleteNetworkInterface"
    assert refused(client, "delete_network_interface", NetworkInterfaceId=ours) == ""
    for vpc, outcome in (("vpc-other", REFUSED), (network, ALLOWED)):
        role.may({**delete, "Condition": {"ArnEquals": {"ec2:Vpc": arn("ec2", f"vpc/{vpc}")}}})
        said = refused(role.client("ec2"), "delete_network_interface", NetworkInterfaceId=services)
        assert (said == "") == outcome


def test_a_metric_is_decided_by_its_namespace(role: Role) -> None:
    put = {"Action": "cloudwatch:PutMetricData", "Resource": "*"}
    role.may({**put, "Condition": {"StringEquals": {"cloudwatch:namespace": "Ours"}}})
    for namespace, missing in (("Ours", ""), ("Theirs", "cloudwatch:PutMetricData")):
        data = [{"MetricName": "Errors", "Value": 1.0}]
        said = refused(role.client("cloudwatch"), "put_metric_data", Namespace=namespace, MetricData=data)
        assert said == missing


def test_an_item_is_decided_by_its_partition_key(role: Role, aws: Aws) -> None:
    key = {"AttributeName": "name", "KeyType": "HASH"}
    attribute = {"AttributeName": "name", "AttributeType": "S"}
    aws("dynamodb").create_table(
        TableName="state", KeySchema=[key], AttributeDefinitions=[attribute], BillingMode="PAY_PER_REQUEST"
    )
    only = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["lease*"]}}
    actions = ["dynamodb:PutItem", "dynamodb:GetItem"]
    role.may({"Action": actions, "Resource": arn("dynamodb", "table/state"), "Condition": only})
    client = role.client("dynamodb")
    for name, refusal in (("lease-1", False), ("profile", True)):
        item = {"name": {"S": name}}
        assert bool(refused(client, "put_item", TableName="state", Item=item)) == refusal
        assert bool(refused(client, "get_item", TableName="state", Key=item)) == refusal
    aws("dynamodb").delete_table(TableName="state")


def test_a_target_is_decided_by_its_dimension(role: Role) -> None:
    register = {"Action": "application-autoscaling:RegisterScalableTarget", "Resource": "*"}
    copies = {"Action": ["sagemaker:DescribeInferenceComponent", "sagemaker:UpdateInferenceComponentRuntimeConfig"]}
    wanted = {"application-autoscaling:scalable-dimension": "sagemaker:inference-component:DesiredCopyCount"}
    role.may({**register, "Condition": {"StringEquals": wanted}}, {**copies, "Resource": "*"})
    client = role.client("application-autoscaling")
    for dimension, missing in (
        ("sagemaker:inference-component:DesiredCopyCount", ""),
        ("sagemaker:variant:DesiredInstanceCount", "application-autoscaling:RegisterScalableTarget"),
    ):
        target = {"ServiceNamespace": "sagemaker", "ResourceId": "inference-component/ours"}
        asked = {**target, "ScalableDimension": dimension, "MinCapacity": 0, "MaxCapacity": 1}
        assert refused(client, "register_scalable_target", **asked) == missing


def test_who_runs_a_task_passes_its_roles_and_tags_it(role: Role, aws: Aws) -> None:
    own = f"arn:aws:iam::{ACCOUNT}:role/{role.name}"
    task = {"taskRoleArn": own, "containerDefinitions": [{"name": "a", "image": "a"}]}
    aws("ecs").register_task_definition(family="ours", **task)
    run = {"Action": "ecs:RunTask", "Resource": arn("ecs", "task-definition/ours:*")}
    give = {"Action": "iam:PassRole", "Resource": own}
    to_tasks = {"Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}}
    tag = {"Action": "ecs:TagResource", "Resource": arn("ecs", "task/default/*")}
    arguments = {"taskDefinition": "ours:1", "propagateTags": "TASK_DEFINITION"}
    for rights, missing in (
        ((run,), "iam:PassRole"),
        ((run, {**give, "Condition": {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}}), "iam:PassRole"),
        ((run, {**give, **to_tasks}), "ecs:TagResource"),
        ((run, {**give, **to_tasks}, tag), ""),
    ):
        role.may(*rights)
        assert refused(role.client("ecs"), "run_task", **arguments) == missing


def test_who_registers_a_target_needs_the_rights_on_the_component(role: Role) -> None:
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "inference-component/ours",
        "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
    }
    register = {
        "Action": "application-autoscaling:RegisterScalableTarget",
        "Resource": arn("application-autoscaling", "scalable-target/*"),
    }
    of_component = {
        "Action": ["sagemaker:DescribeInferenceComponent", "sagemaker:UpdateInferenceComponentRuntimeConfig"],
        "Resource": arn("sagemaker", "inference-component/ours"),
    }
    for rights, missing in (((register,), "sagemaker:DescribeInferenceComponent"), ((register, of_component), "")):
        role.may(*rights)
        asked = {**target, "MinCapacity": 0, "MaxCapacity": 1}
        assert refused(role.client("application-autoscaling"), "register_scalable_target", **asked) == missing


def test_a_call_over_loopback_counts_as_encrypted(role: Role, aws: Aws) -> None:
    aws("s3").create_bucket(Bucket="only-over-tls")
    refuse = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::only-over-tls"}
    policy = _document({**refuse, "Condition": {"Bool": {"aws:SecureTransport": "false"}}})
    aws("s3").put_bucket_policy(Bucket="only-over-tls", Policy=policy)
    role.may({"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::only-over-tls"})
    assert refused(role.client("s3"), "list_objects_v2", Bucket="only-over-tls") == ""
    aws("s3").put_bucket_policy(Bucket="only-over-tls", Policy=_document(refuse))
    assert refused(role.client("s3"), "list_objects_v2", Bucket="only-over-tls") == "s3:ListBucket"


def test_every_claim_of_a_jobs_token_is_compared_with_the_trust(emulator: Emulator, aws: Aws) -> None:
    told = claims("deploy", "production")
    wanted = {f"{GITHUB}:{name}": value for name, value in told.items() if name != "iss"}
    trusted = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{GITHUB}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": wanted},
    }
    aws("iam").create_role(RoleName="of-jobs", AssumeRolePolicyDocument=_document(trusted))
    role = f"arn:aws:iam::{ACCOUNT}:role/of-jobs"
    assert session(emulator.url, role, told)["AWS_SESSION_TOKEN"]
    for claim in told:
        with pytest.raises(ClientError, match="Not authorized to perform sts:AssumeRoleWithWebIdentity"):
            session(emulator.url, role, {**told, claim: "other"})
    aws("iam").delete_role(RoleName="of-jobs")
