"""Each workflow's role at work in an emulator that enforces IAM: what it needs is granted, what it must not is refused.

The role's own policy, ceiling and trust are those of the Delivery stack, the CDK's roles those of `cdk bootstrap`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.delivery.enforced import REGION, STACK, Account, client, refused
from tests.integration.twin.test_ready import PARKED, TARGET, Service
from twin.ask.ingest_task import run_task
from twin.ci.alarms import watch
from twin.ci.releases import Release, last_good, store_last_good
from twin.delete import delete as command
from twin.delete.delete import delete
from twin.deploy import deploy as deploying
from twin.deploy.failures.events import newest_events
from twin.deploy.failures.evidence import of_service
from twin.target import api_client, cdk, deployment
from twin.target.errors import TwinError
from twin.target.parking import is_parked
from twin.target.stage import Stage

TOPIC = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
TAGS = [{"Key": "project", "Value": "llm-twin"}, {"Key": "stage", "Value": "dev"}]


def _secret(description: str) -> dict[str, Any]:
    generated = {"GenerateSecretString": {}, "Description": description, "Tags": TAGS}
    return {"Type": "AWS::SecretsManager::Secret", "Properties": generated}


def _task(program: str) -> dict[str, Any]:
    logs = {"awslogs-group": {"Ref": "Logs"}, "awslogs-stream-prefix": program, "awslogs-region": REGION}
    container = {
        "Name": program,
        "Image": "example/rag:1",
        "LogConfiguration": {"LogDriver": "awslogs", "Options": logs},
    }
    family = {"Family": f"twin-dev-business-{program}", "ContainerDefinitions": [container]}
    return {"Type": "AWS::ECS::TaskDefinition", "Properties": family}


BUSINESS = {
    "Resources": {
        "Logs": {"Type": "AWS::Logs::LogGroup"},
        "Cluster": {"Type": "AWS::ECS::Cluster"},
        "Api": _task("api"),
        "Ingest": _task("ingest"),
        "Service": {
            "Type": "AWS::ECS::Service",
            "Properties": {
                "Cluster": {"Ref": "Cluster"},
                "TaskDefinition": {"Ref": "Api"},
                "LaunchType": "FARGATE",
                "DesiredCount": 0,
                "NetworkConfiguration": {"AwsvpcConfiguration": {"Subnets": ["subnet-1"], "SecurityGroups": ["sg-1"]}},
            },
        },
        "ApiKeys": _secret("Hashed API keys of the service's callers"),
        "ReadKey": _secret("API key of Qdrant"),
        "WriteKey": _secret("Write key of Qdrant"),
    },
    "Outputs": {
        "ClusterName": {"Value": {"Ref": "Cluster"}},
        "ServiceName": {"Value": {"Fn::GetAtt": ["Service", "Name"]}},
        "IngestTaskDefinitionArn": {"Value": {"Ref": "Ingest"}},
        "ApiKeysSecretArn": {"Value": {"Ref": "ApiKeys"}},
        "QdrantApiKeySecretArn": {"Value": {"Ref": "ReadKey"}},
        "QdrantWriteKeySecretArn": {"Value": {"Ref": "WriteKey"}},
        "ApiUrl": {"Value": "https://api.example.com"},
    },
}
"""The business stack, as far as a deployment and an ingest call it."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(command, "key_file", lambda stage: tmp_path / "key")


def test_a_preview_is_deployed_updated_and_destroyed_by_its_role(account: Account) -> None:
    with account.role("preview"):
        assert not (said := account.deploy("pr-12")), said
        account.change("pr-12")
        assert not (said := account.deploy("pr-12")), said
        assert "Changed" in account.outputs("pr-12")
        assert delete(Stage("pr-12", REGION), lambda _: None) == []
        with refused("cloudformation:DeleteStack"):
            client("cloudformation").delete_stack(StackName="twin-dev-network")


def test_a_lasting_stage_is_deployed_by_one_role_and_destroyed_by_another(account: Account) -> None:
    with account.role("deploy"):
        assert not (said := account.deploy("dev")), said
        account.change("dev")
        assert not (said := account.deploy("dev")), said
        with refused("cloudformation:"):
            delete(Stage("dev", REGION), lambda _: None)
    assert "Changed" in account.outputs("dev")
    with account.role("evaluate"), refused("cloudformation:DeleteStack"):
        client("cloudformation").delete_stack(StackName="twin-dev-network")
    with account.role("teardown"):
        assert delete(Stage("dev", REGION), lambda _: None) == []


def test_an_interface_of_a_service_is_left_to_the_service(account: Account) -> None:
    """It has no tags of the stage, so that the role may not delete it: the deletion says so and goes on without it."""
    with account.role("deploy"):
        assert not (said := account.deploy("dev")), said
    ec2 = account.emulator.client("ec2")
    resources = account.emulator.client("cloudformation").describe_stack_resources(StackName="twin-dev-network")
    (subnet, *_) = (
        each["PhysicalResourceId"] for each in resources["StackResources"] if each["ResourceType"] == "AWS::EC2::Subnet"
    )
    interface = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    lines: list[str] = []
    gone: list[str] = []

    def progress(line: str) -> None:
        lines.append(line)
        # Some minutes after its last user is gone, the service takes its interface away.
        if "twin-dev-network" in line and "AWS still deletes" in line and not gone:
            ec2.delete_network_interface(NetworkInterfaceId=interface)
            gone.append(interface)

    with account.role("teardown"):
        assert delete(Stage("dev", REGION), progress) == []
    (refusal, *_) = (line for line in lines if interface in line)
    assert "not authorized to perform: ec2:DeleteNetworkInterface" in refusal


@pytest.mark.parametrize("workflow", ["preview", "deploy", "teardown", "evaluate"])
def test_no_role_makes_anything_itself_nor_touches_its_own_trust(account: Account, workflow: str) -> None:
    with account.role(workflow):
        with refused("cloudformation:CreateStack"):
            client("cloudformation").create_stack(StackName="twin-pr-12-mine", TemplateBody="{}")
        with refused("iam:PutRolePolicy"):
            client("iam").put_role_policy(RoleName=f"{STACK}-{workflow}", PolicyName="more", PolicyDocument="{}")
        with refused("cloudformation:DeleteStack"):
            client("cloudformation").delete_stack(StackName=STACK)


def test_the_ceiling_holds_whatever_is_attached_below_it(account: Account) -> None:
    iam, name = account.emulator.client("iam"), f"{STACK}-evaluate"
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_role_policy(RoleName=name, PolicyName="everything", PolicyDocument=json.dumps(everything))
    try:
        with account.role("evaluate"), pytest.raises(ClientError, match="AccessDenied"):
            client("s3").create_bucket(Bucket="made-by-a-workflow")
    finally:
        iam.delete_role_policy(RoleName=name, PolicyName="everything")


@pytest.fixture
def around(account: Account) -> Iterator[dict[str, str]]:
    """The stage's other stacks, as far as a deployment of the network reads them; made by whoever owns the account."""
    cloudformation = account.emulator.client("cloudformation")
    for name in ("llm", "evaluation", "guard"):
        cloudformation.create_stack(StackName=f"twin-dev-{name}", TemplateBody=json.dumps(TOPIC))
    cloudformation.create_stack(StackName="twin-dev-business", TemplateBody=json.dumps(BUSINESS))
    for name in ("llm", "evaluation", "guard", "business"):
        cloudformation.get_waiter("stack_create_complete").wait(StackName=f"twin-dev-{name}", WaiterConfig={"Delay": 1})
    (stack,) = cloudformation.describe_stacks(StackName="twin-dev-business")["Stacks"]
    yield {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    for name in ("llm", "evaluation", "guard", "business", "network"):
        cloudformation.delete_stack(StackName=f"twin-dev-{name}")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """`/readyz` of the deployed service, whose store is away."""
    made = Service()
    made.dependencies["qdrant"] = {"state": "down", "detail": "It is away."}
    monkeypatch.setattr(api_client, "address", lambda *_: made.url)
    yield made
    made.stop()


def test_the_deploy_role_may_call_what_twin_deploy_and_ci_ingest_call(
    account: Account, around: dict[str, str], service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`twin deploy` itself, its ingest and its watch: a key is to be filled in, and the model is parked."""
    stage, said = Stage("dev", REGION), list[str]()
    scaling = account.emulator.client("application-autoscaling")
    tags = {each["Key"]: each["Value"] for each in TAGS}
    scaling.register_scalable_target(**TARGET, MinCapacity=0, MaxCapacity=1, SuspendedState=PARKED, Tags=tags)
    monkeypatch.setattr(cdk, "_app", lambda *_: ("--app", str(account.assemblies["dev"]), "--method", "direct"))
    monkeypatch.setattr("twin.target.deployment.key_file", lambda _: tmp_path / "keys" / "dev")
    monkeypatch.setenv("TWIN_VECTORS__URL", "https://qdrant.internal:6333")
    monkeypatch.setattr(deploying, "_register_prompts", lambda *_: None)
    outputs = {**around, "ApiUrl": service.url}
    monkeypatch.setattr(deploying, "outputs", lambda each: {**deployment.outputs(each), **outputs})
    with account.role("deploy"):
        deploying.deploy(stage, said.append, only=("network",))
        assert any("twin secrets set qdrant --stage dev" in line for line in said)
        assert any("was parked" in line for line in said) and not is_parked(stage)
        scaling.deregister_scalable_target(**TARGET)
        stage.secret(around["QdrantWriteKeySecretArn"])
        store_last_good(stage, Release("a" * 40, f"sha256:{'b' * 64}"))
        assert last_good(stage).commit == "a" * 40
        with pytest.raises(TwinError, match="no alarm"):
            watch(stage, 0, 1, said.append)
        threading.Timer(1, _end_tasks, (account, around["ClusterName"])).start()
        assert run_task(stage, ["true"], said.append, poll_seconds=0.2).reason == "over"
        assert of_service(stage, around["ClusterName"], around["ServiceName"])
        assert newest_events(stage)
        client("cloudformation").get_template(StackName="twin-dev-llm")
        with refused("ecs:RunTask"):
            client("ecs").run_task(cluster=around["ClusterName"], taskDefinition="twin-dev-business-api")


def _end_tasks(account: Account, cluster: str) -> None:
    ecs = account.emulator.client("ecs")
    for arn in ecs.list_tasks(cluster=cluster)["taskArns"]:
        ecs.stop_task(cluster=cluster, task=arn, reason="over")
