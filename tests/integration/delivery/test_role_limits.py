"""What no role may do to a stage that is not its own, kind by kind, and what it may do to its own.

The same call decides both: one that is refused for both stages would not show that the stage is what decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.github_tokens import ENVIRONMENTS, claims, session
from tests.integration.delivery.enforced import ACCOUNT, REGION, STACK, Account, client

OWN = {"preview": "pr-12", "deploy": "dev", "teardown": "dev", "evaluate": "dev"}
FOREIGN = {"preview": "prod", "deploy": "pr-12", "teardown": "lab", "evaluate": "pr-12"}
"""A stage of each role, and one that is none of its stages."""
WORKFLOWS = tuple(OWN)
COMPONENT = "sagemaker:inference-component:DesiredCopyCount"


@dataclass(frozen=True)
class Bait:
    """What a stage has, by the ids that AWS gave."""

    stage: str
    secret: str = ""
    interface: str = ""
    volume: str = ""
    snapshot: str = ""

    @property
    def prefix(self) -> str:
        return f"twin-{self.stage}"


def _target(bait: Bait) -> dict[str, str]:
    resource = f"inference-component/{bait.prefix}-llm-model"
    return {"ServiceNamespace": "sagemaker", "ResourceId": resource, "ScalableDimension": COMPONENT}


Call = Callable[[Bait], Any]
DELETES: dict[str, Call] = {
    "stack": lambda b: client("cloudformation").delete_stack(StackName=f"{b.prefix}-network"),
    "bucket": lambda b: client("s3").delete_bucket(Bucket=f"{b.prefix}-evaluation-bait"),
    "objects": lambda b: client("s3").list_object_versions(Bucket=f"{b.prefix}-evaluation-bait"),
    "secret": lambda b: client("secretsmanager").delete_secret(SecretId=b.secret, ForceDeleteWithoutRecovery=True),
    "log group": lambda b: client("logs").delete_log_group(logGroupName=f"{b.prefix}-business-Logs"),
    "repository": lambda b: client("ecr").delete_repository(repositoryName=f"{b.prefix}-images", force=True),
    "endpoint": lambda b: client("sagemaker").delete_endpoint(EndpointName=f"{b.prefix}-llm"),
    "component": lambda b: client("sagemaker").delete_inference_component(
        InferenceComponentName=f"{b.prefix}-llm-model"
    ),
    "model": lambda b: client("sagemaker").delete_model(ModelName=f"{b.prefix}-llm"),
    "target": lambda b: client("application-autoscaling").deregister_scalable_target(**_target(b)),
    "task definition": lambda b: client("ecs").delete_task_definitions(taskDefinitions=[f"{b.prefix}-business-api:1"]),
    "interface": lambda b: client("ec2").delete_network_interface(NetworkInterfaceId=b.interface),
    "volume": lambda b: client("ec2").delete_volume(VolumeId=b.volume),
    "snapshot": lambda b: client("ec2").delete_snapshot(SnapshotId=b.snapshot),
}
CHANGES: dict[str, Call] = {
    "secret's value": lambda b: client("secretsmanager").put_secret_value(SecretId=b.secret, SecretString="new"),
    "number of copies": lambda b: client("sagemaker").update_inference_component_runtime_config(
        InferenceComponentName=f"{b.prefix}-llm-model", DesiredRuntimeConfig={"CopyCount": 1}
    ),
    "task": lambda b: client("ecs").run_task(taskDefinition=f"{b.prefix}-business-ingest:1"),
    "stop of a task": lambda b: client("ecs").stop_task(cluster=f"{b.prefix}-business-Cluster", task="a" * 32),
    "scaling": lambda b: client("application-autoscaling").register_scalable_target(**_target(b), MinCapacity=0),
}
EVALUATES: dict[str, Call] = {
    "evaluation": lambda b: client("lambda").invoke(FunctionName=f"{b.prefix}-evaluation-Run"),
}
READS: dict[str, Call] = {
    "value of a secret": lambda b: client("secretsmanager").get_secret_value(SecretId=b.secret),
    "logs": lambda b: client("logs").get_log_events(logGroupName=f"{b.prefix}-business-Logs", logStreamName="a"),
}
MAY = {
    "preview": {**DELETES, **CHANGES, **READS, **EVALUATES},
    "deploy": {**CHANGES, **READS, **EVALUATES},
    "teardown": {**DELETES, "stop of a task": CHANGES["stop of a task"]},
    "evaluate": EVALUATES,
}
"""What each role may do to a stage of its own."""
EVERY = {**READS, **EVALUATES, **CHANGES, **DELETES}


def is_refused(call: Call, bait: Bait) -> bool:
    """Whether IAM refused a call; what a service answers after IAM does not count."""
    try:
        call(bait)
    except ClientError as error:
        return "is not authorized to perform" in str(error)
    return False


def bait_of(account: Account, stage: str) -> Bait:
    """One resource of each kind that a policy's condition looks into; names alone decide the others."""
    tags = [{"Key": "project", "Value": "llm-twin"}, {"Key": "stage", "Value": stage}]
    secrets, ec2 = account.emulator.client("secretsmanager"), account.emulator.client("ec2")
    scaling = account.emulator.client("application-autoscaling")
    secret = secrets.create_secret(SecretString="old", Tags=tags, **_unique(f"Bait{stage}"))["ARN"]
    network = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=network, CidrBlock="10.8.1.0/24")["Subnet"]["SubnetId"]
    interface = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    volume = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=1)["VolumeId"]
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    ec2.create_tags(Resources=[interface, volume, snapshot], Tags=tags)
    bait = Bait(stage, secret, interface, volume, snapshot)
    scaling.register_scalable_target(
        **_target(bait), MinCapacity=0, MaxCapacity=1, Tags={each["Key"]: each["Value"] for each in tags}
    )
    return bait


def _unique(name: str) -> dict[str, str]:
    _unique.count = getattr(_unique, "count", 0) + 1  # type: ignore[attr-defined]
    return {"Name": f"{name}{_unique.count}"}  # type: ignore[attr-defined]


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_a_role_reaches_its_own_stages_and_no_other(account: Account, workflow: str) -> None:
    own, foreign = bait_of(account, OWN[workflow]), bait_of(account, FOREIGN[workflow])
    with account.role(workflow):
        reached = {kind for kind, call in EVERY.items() if not is_refused(call, foreign)}
        assert reached == set(), "of a stage that is none of its own"
        allowed = {kind for kind, call in EVERY.items() if not is_refused(call, own)}
    assert allowed == set(MAY[workflow])


def test_a_neighbour_without_tags_is_out_of_reach(account: Account) -> None:
    """What carries no tags of the stage, as a service's own interface in the stage's network, no role deletes."""
    ec2 = account.emulator.client("ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    interface = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    for workflow in WORKFLOWS:
        with account.role(workflow):
            assert is_refused(DELETES["interface"], Bait(OWN[workflow], interface=interface))


OWN_RIGHTS: dict[str, Callable[[str], Any]] = {
    "policy": lambda role: client("iam").put_role_policy(RoleName=role, PolicyName="more", PolicyDocument="{}"),
    "attachment": lambda role: client("iam").attach_role_policy(
        RoleName=role, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
    ),
    "boundary": lambda role: client("iam").delete_role_permissions_boundary(RoleName=role),
    "trust": lambda role: client("iam").update_assume_role_policy(RoleName=role, PolicyDocument="{}"),
    "ceiling": lambda role: client("iam").create_policy_version(
        PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/{STACK}-ceiling", PolicyDocument="{}", SetAsDefault=True
    ),
    "new role": lambda role: client("iam").create_role(RoleName="made", AssumeRolePolicyDocument="{}"),
    "stack of the roles": lambda role: client("cloudformation").delete_stack(StackName=STACK),
    "protection": lambda role: client("cloudformation").update_termination_protection(
        StackName=STACK, EnableTerminationProtection=False
    ),
    "executing role": lambda role: client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-{REGION}", RoleSessionName="one"
    ),
    "another role": lambda role: client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{STACK}-teardown", RoleSessionName="one"
    ),
}


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_no_role_changes_what_it_may_do(account: Account, workflow: str) -> None:
    with account.role(workflow):
        got = {kind for kind, call in OWN_RIGHTS.items() if not _is_refused_right(call, f"{STACK}-{workflow}")}
    assert got == set()


def _is_refused_right(call: Callable[[str], Any], role: str) -> bool:
    try:
        call(role)
    except ClientError as error:
        return "is not authorized to perform" in str(error)
    return False


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_a_workflows_token_is_good_for_its_own_role_only(account: Account, workflow: str) -> None:
    told = claims(workflow, ENVIRONMENTS[workflow])
    for other in WORKFLOWS:
        role = f"arn:aws:iam::{ACCOUNT}:role/{STACK}-{other}"
        if other == workflow:
            assert session(account.emulator.url, role, told)
        else:
            with pytest.raises(ClientError, match="Not authorized to perform sts:AssumeRoleWithWebIdentity"):
                session(account.emulator.url, role, told)


@pytest.mark.parametrize(("workflow", "images"), [("preview", "llm-twin/rag"), ("deploy", "llm-twin/preview")])
def test_images_of_the_other_kind_cannot_be_pushed(account: Account, workflow: str, images: str) -> None:
    def push(name: str) -> bool:
        try:
            boto3.client("ecr").put_image(repositoryName=name, imageManifest="{}", imageTag=workflow)
        except ClientError as error:
            return "is not authorized to perform" not in str(error)
        return True

    with account.role(workflow):
        assert not push(images)
        assert push({"preview": "llm-twin/preview", "deploy": "llm-twin/rag"}[workflow])
