"""`twin ingest s3://...` against a stage on AWS: a one-off task of the service, followed to its end.

The emulator keeps the task but has no engine to run its container. Here a thread stands for Fargate: it runs the task's
command as a process, with the environment of the task definition, and its output goes to the log group.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from qdrant_client import QdrantClient, models

from localcloud.process import base_environment
from services.rag.stores.documents import COLLECTIONS
from tests.aws import aws_environment
from tests.integration.rag.local_servers import PATIENT, qdrant, serving
from tests.program import TWIN
from tests.sigint import restore_sigint
from twin.ask.documents import ingest_documents
from twin.ask.ingest import ingest
from twin.target import vector_store
from twin.target.deployment import outputs
from twin.target.errors import TwinError
from twin.target.stage import Stage

ROOT = Path(__file__).parents[3]
WAIT_SECONDS = 90.0


ASKED: list[dict[str, Any]] = []
"""What ECS was asked to run."""


class Failing(Stage):
    """A stage whose containers end with exit code 1, which the emulator has no way to say."""

    def client(self, service: str, **config: Any) -> Any:
        client = super().client(service, **config)
        if service == "ecs":
            client.meta.events.register("provide-client-params.ecs.RunTask", lambda params, **_: ASKED.append(params))
            describe = client.describe_tasks

            def describe_failed(**asked: Any) -> Any:
                answer = describe(**asked)
                for task in answer["tasks"]:
                    for container in task["containers"]:
                        container["exitCode"] = 1
                return answer

            client.describe_tasks = describe_failed
        return client


@dataclass(frozen=True)
class Cloud:
    """A deployed stage `dev`, as far as an ingest needs one."""

    cluster: str
    qdrant: QdrantClient

    def client(self, service: str) -> Any:
        return boto3.client(service, region_name="us-east-1")

    def task(self) -> dict[str, Any]:
        """The task that was started, once it is there and runs."""
        ecs = self.client("ecs")
        deadline = time.monotonic() + WAIT_SECONDS
        while not (arns := ecs.list_tasks(cluster=self.cluster, startedBy="twin-ingest")["taskArns"]):
            assert time.monotonic() < deadline, "no task was started"
            time.sleep(0.05)
        found: dict[str, Any] = ecs.describe_tasks(cluster=self.cluster, tasks=arns)["tasks"][0]
        return found

    def stopped_reason(self, task: dict[str, Any]) -> str:
        described = self.client("ecs").describe_tasks(cluster=self.cluster, tasks=[task["taskArn"]])
        return str(described["tasks"][0]["stoppedReason"])

    def run_container(self) -> None:
        """Do what Fargate would: run the task's command, write its log, end the task with it."""
        ecs, logs = self.client("ecs"), self.client("logs")
        task = self.task()
        (override,) = task["overrides"]["containerOverrides"]
        definition = ecs.describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
        container = next(found for found in definition["containerDefinitions"] if found["name"] == override["name"])
        declared = {pair["name"]: pair["value"] for pair in container["environment"]}
        done = subprocess.run(
            [sys.executable, *override["command"][1:]],
            cwd=ROOT,
            env={**base_environment(ROOT), **_aws(), **declared},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        options = container["logConfiguration"]["options"]
        stream = f"{options['awslogs-stream-prefix']}/{container['name']}/{task['taskArn'].rpartition('/')[2]}"
        where = {"logGroupName": options["awslogs-group"], "logStreamName": stream}
        logs.create_log_stream(**where)
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": line} for line in done.stdout.splitlines() if line]
        logs.put_log_events(**where, logEvents=events)
        ecs.stop_task(cluster=self.cluster, task=task["taskArn"], reason="Essential container in task exited")


def _aws() -> dict[str, str]:
    return aws_environment(os.environ["AWS_ENDPOINT_URL"])


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The emulator, which AWS clients of this process then find, and the address of the store."""
    with (
        serving("localcloud.emulator", "/_ministack/health", tmp_path_factory.mktemp("emulator")) as url,
        qdrant(tmp_path_factory.mktemp("qdrant")) as store,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in aws_environment(url).items():
            patch.setenv(name, value)
        yield store


@pytest.fixture(scope="module")
def deployed(servers: str, embedding_model: Path) -> Cloud:
    cloudformation = boto3.client("cloudformation", region_name="us-east-1")
    topic = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    for name in ("network", "llm", "evaluation", "guard"):
        cloudformation.create_stack(StackName=f"twin-dev-{name}", TemplateBody=json.dumps(topic))
    cloudformation.create_stack(
        StackName="twin-dev-business", TemplateBody=json.dumps(_business(servers, embedding_model))
    )
    for name in ("network", "llm", "business", "evaluation", "guard"):
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName=f"twin-dev-{name}", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="documents")
    s3.put_object(Bucket="documents", Key="posts/ada/wake.md", Body=b"# Waking\nAn endpoint that sleeps costs nothing.")
    s3.put_object(Bucket="documents", Key="posts/ada/latin.md", Body=b"caf\xe9")
    found = cloudformation.describe_stacks(StackName="twin-dev-business")["Stacks"][0]["Outputs"]
    (cluster,) = (output["OutputValue"] for output in found if output["OutputKey"] == "ClusterName")
    return Cloud(cluster, QdrantClient(url=servers, timeout=20, check_compatibility=False))


@pytest.fixture
def cloud(deployed: Cloud) -> Iterator[Cloud]:
    """The deployed stage, without tasks of other tests."""
    yield deployed
    ecs = deployed.client("ecs")
    for arn in ecs.list_tasks(cluster=deployed.cluster, startedBy="twin-ingest")["taskArns"]:
        ecs.stop_task(cluster=deployed.cluster, task=arn)


def _business(qdrant_url: str, embedding_model: Path) -> dict[str, Any]:
    logs = {"awslogs-group": {"Ref": "Logs"}, "awslogs-stream-prefix": "api", "awslogs-region": "us-east-1"}
    environment = {**PATIENT, "QDRANT_URL": qdrant_url, "EMBEDDING_MODEL_DIR": str(embedding_model), "PORT": "8000"}
    container = {
        "Name": "ingest",
        "Image": "example/rag:1",
        "Command": ["python", "-m", "services.rag.ingest", "s3://documents"],
        "Environment": [{"Name": name, "Value": value} for name, value in environment.items()],
        "LogConfiguration": {"LogDriver": "awslogs", "Options": logs},
    }
    network = {"AwsvpcConfiguration": {"Subnets": ["subnet-1"], "SecurityGroups": ["sg-1"]}}
    return {
        "Resources": {
            "Cluster": {"Type": "AWS::ECS::Cluster"},
            "Logs": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/twin-dev/api"}},
            "Task": _task({"Name": "api", "Image": "example/rag:1"}),
            "Ingest": _task(container),
            "Service": {
                "Type": "AWS::ECS::Service",
                "Properties": {
                    "Cluster": {"Ref": "Cluster"},
                    "TaskDefinition": {"Ref": "Task"},
                    "LaunchType": "FARGATE",
                    "DesiredCount": 0,
                    "NetworkConfiguration": network,
                },
            },
        },
        "Outputs": {
            "ClusterName": {"Value": {"Ref": "Cluster"}},
            "IngestTaskDefinitionArn": {"Value": {"Ref": "Ingest"}},
            "ServiceName": {"Value": {"Fn::GetAtt": ["Service", "Name"]}},
        },
    }


def _task(container: dict[str, Any]) -> dict[str, Any]:
    properties = {
        "Family": f"twin-dev-{container['Name']}",
        "Cpu": "512",
        "Memory": "1024",
        "NetworkMode": "awsvpc",
        "RequiresCompatibilities": ["FARGATE"],
        "ContainerDefinitions": [container],
    }
    return {"Type": "AWS::ECS::TaskDefinition", "Properties": properties}


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [TWIN, "ingest", *arguments],
        cwd=ROOT,
        env={**base_environment(ROOT), **_aws()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=restore_sigint,
    )


def test_a_bucket_is_read_by_a_task_of_the_service(cloud: Cloud) -> None:
    process = start("s3://documents", "--stage", "dev", "--json")
    task = cloud.task()
    assert task["launchType"] == "FARGATE"
    assert task["taskDefinitionArn"].rpartition("/")[2] == "twin-dev-ingest:1"
    (override,) = task["overrides"]["containerOverrides"]
    assert override == {
        "name": "ingest",
        "command": ["python", "-m", "services.rag.ingest", "s3://documents", "--progress-json"],
    }
    cloud.run_container()
    output, errors = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 0, errors
    report = json.loads(output)
    assert (report["added"], report["chunks_written"]) == (1, 1)
    assert report["skipped"] == [{"id": "posts/ada/latin.md", "reason": "not UTF-8 text"}]
    assert cloud.qdrant.count("posts").count == 1


def test_a_task_that_fails_says_why(cloud: Cloud) -> None:
    fargate = threading.Thread(target=cloud.run_container)
    fargate.start()
    with pytest.raises(TwinError, match=r"s3://no-such-documents: there is no such bucket\."):
        ingest(Failing("dev", "us-east-1"), "s3://no-such-documents")
    fargate.join()
    # The emulator leaves tags of a task definition at the definition.
    assert (ASKED[-1]["propagateTags"], ASKED[-1]["enableECSManagedTags"]) == ("TASK_DEFINITION", True)


def test_ctrl_c_stops_the_task(cloud: Cloud) -> None:
    process = start("s3://documents", "--stage", "dev")
    task = cloud.task()
    time.sleep(3)  # now it is being followed
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 130, errors
    assert cloud.stopped_reason(task) == "interrupted by its caller"


def test_a_stage_without_a_bucket_of_documents_says_what_to_set(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    without = {name: value for name, value in outputs(Stage("dev", "us-east-1")).items() if "Ingest" not in name}
    monkeypatch.setattr("twin.ask.ingest_task.outputs", lambda _: without)
    with pytest.raises(TwinError, match=r"set rag\.documents_bucket .* and deploy"):
        ingest(Stage("dev", "us-east-1"), "s3://documents")


def test_a_stage_that_is_not_deployed_is_one_sentence(cloud: Cloud) -> None:
    process = start("s3://documents", "--stage", "prod")
    _, errors = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 1
    assert "is not deployed: run `make deploy-inference-pipeline STAGE=prod`" in errors


def test_a_folder_after_a_deployment_goes_into_the_stages_own_store_with_its_write_key(
    cloud: Cloud, servers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a runner: only credentials in the environment, the address in the settings, the key in a secret."""
    monkeypatch.setenv("TWIN_VECTORS__URL", servers)
    monkeypatch.setenv("TWIN_RETRIEVAL__TENANT", "runner")
    for name in ("QDRANT_URL", "QDRANT_API_KEY", "QDRANT_CA_FILE", "EMBEDDING_MODEL_DIR"):
        monkeypatch.delenv(name, raising=False)
    arn = cloud.client("secretsmanager").create_secret(Name="write", SecretString="a key that writes\n")["ARN"]
    monkeypatch.setattr(vector_store, "outputs", lambda _: {"QdrantWriteKeySecretArn": arn})
    stage = Stage("dev", "us-east-1")
    found = vector_store.store_environment(stage, writes=True)
    assert (found["QDRANT_URL"], found["QDRANT_API_KEY"]) == (servers, "a key that writes")
    report = ingest_documents(stage, lambda _: None)
    assert report is not None and report["chunks_written"] > 0
    mine = models.Filter(must=[models.FieldCondition(key="tenant", match=models.MatchValue(value="runner"))])
    written = sum(cloud.qdrant.count(name, count_filter=mine).count for name in COLLECTIONS)
    assert written == report["chunks_written"]
