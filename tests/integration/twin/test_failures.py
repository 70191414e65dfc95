"""A deployment that fails, through the real CDK command line into the emulator, and what is said about it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.integration.twin.conftest import ACCOUNT, REGION
from tests.integration.twin.recorded import Recorded
from twin.deploy.deploy import deploy_stacks
from twin.deploy.failures.evidence import of_service, tail
from twin.deploy.failures.report import FailureRecorder, explained_unready
from twin.target.errors import TwinError
from twin.target.stage import Stage

Aws = Callable[[str], Any]
STAGE = Stage("dev", REGION, {"AWS_REGION": REGION})
STACK, ENDPOINT, ROLE = "twin-dev-llm", "twin-dev-llm", f"arn:aws:iam::{ACCOUNT}:role/r"
GROUP = f"/aws/sagemaker/Endpoints/{ENDPOINT}"
LAST_WORDS = ("loading weights", "torch.OutOfMemoryError: CUDA out of memory.")
TAKEN = "Cannot create already existing endpoint"
SERVICE = f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/cluster/api"


@pytest.fixture
def said(aws: Aws) -> Iterator[None]:
    """The container's log."""
    logs = aws("logs")
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="AllTraffic/i-1")
    now = int(datetime.now(UTC).timestamp() * 1000)
    events = [{"timestamp": now + number, "message": line} for number, line in enumerate(LAST_WORDS)]
    logs.put_log_events(logGroupName=GROUP, logStreamName="AllTraffic/i-1", logEvents=events)
    yield
    logs.delete_log_group(logGroupName=GROUP)


@pytest.fixture
def leftover(aws: Aws) -> Iterator[None]:
    """An endpoint of an earlier deployment, under the stage's fixed name."""
    client = aws("sagemaker")
    variant = {"VariantName": "v", "InstanceType": "ml.g6.2xlarge", "InitialInstanceCount": 1}
    client.create_endpoint_config(EndpointConfigName="old", ExecutionRoleArn=ROLE, ProductionVariants=[variant])
    client.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName="old")
    yield
    client.delete_endpoint(EndpointName=ENDPOINT)
    client.delete_endpoint_config(EndpointConfigName="old")


@pytest.fixture
def assembly(tmp_path: Path, shell: pytest.MonkeyPatch, aws: Aws) -> Iterator[dict[str, str]]:
    """A synthesized stack with an endpoint, and the environment to deploy it with."""
    endpoint = {"EndpointName": ENDPOINT, "EndpointConfigName": "old"}
    template = {
        "Resources": {
            "Topic": {"Type": "AWS::SNS::Topic"},
            "Endpoint1": {"Type": "AWS::SageMaker::Endpoint", "DependsOn": "Topic", "Properties": endpoint},
        }
    }
    out = tmp_path / "cdk.out"
    out.mkdir()
    (out / "stack.json").write_text(json.dumps(template))
    artifact = {
        "type": "aws:cloudformation:stack",
        "environment": f"aws://{ACCOUNT}/{REGION}",
        "properties": {"templateFile": "stack.json"},
    }
    (out / "manifest.json").write_text(json.dumps({"version": "36.0.0", "artifacts": {STACK: artifact}}))
    # As `--app`, instead of what cdk.json names.
    yield {"CDK_APP": str(out), "AWS_ENDPOINT_URL": aws("sts").meta.endpoint_url, "AWS_REGION": REGION}
    client = aws("cloudformation")
    client.delete_stack(StackName=STACK)
    client.get_waiter("stack_delete_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})


def test_a_failed_stack_is_explained_with_the_containers_log(
    assembly: dict[str, str], said: None, leftover: None
) -> None:
    with pytest.raises(TwinError) as raised:
        deploy_stacks(STAGE, assembly, lambda _: None)
    message = str(raised.value)
    assert message.startswith("`cdk deploy` failed: ")
    assert f"  {STACK}: AWS::SageMaker::Endpoint Endpoint1" in message
    assert "    reason: " in message
    assert TAKEN in message
    assert "Topic" not in message
    # What the container said names the cause more closely than the name that is taken.
    assert "means:  Weights and key-value cache do not fit" in message
    assert "make doctor STAGE=dev" in message
    assert f"    last lines of {GROUP}:\n      | loading weights\n      | torch.OutOfMemoryError" in message


def test_without_a_log_the_reason_is_explained(shell: pytest.MonkeyPatch) -> None:
    recorder = FailureRecorder(STAGE)
    recorder.record(STACK, "AWS::SageMaker::Endpoint", "Endpoint1", TAKEN)
    message = str(recorder.explained(TwinError("`cdk deploy` failed.")))
    assert "means:  A resource of this name exists and belongs to no stack" in message
    assert "last lines" not in message


def test_what_the_rollback_deletes_was_kept(shell: pytest.MonkeyPatch, aws: Aws, said: None) -> None:
    recorder = FailureRecorder(STAGE)
    recorder.record(STACK, "AWS::SageMaker::InferenceComponent", "C1", "did not pass the ping health check")
    aws("logs").delete_log_stream(logGroupName=GROUP, logStreamName="AllTraffic/i-1")
    message = str(recorder.explained(TwinError("`cdk deploy` failed.")))
    assert "reason: did not pass the ping health check" in message
    assert "| torch.OutOfMemoryError" in message


def test_a_consequence_of_another_failure_is_not_reported(shell: pytest.MonkeyPatch) -> None:
    recorder = FailureRecorder(STAGE)
    recorder.record(STACK, "AWS::SNS::Topic", "Topic", "Resource creation cancelled")
    assert str(recorder.explained(TwinError("`cdk deploy` failed."))) == "`cdk deploy` failed."


def test_expired_credentials_do_not_hide_what_was_seen(shell: pytest.MonkeyPatch) -> None:
    recorder = FailureRecorder(STAGE)
    recorder.record(STACK, "AWS::SNS::Topic", "Topic", "Rate exceeded (Service: Sns, Status Code: 400)")
    shell.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    message = str(recorder.explained(TwinError("`cdk deploy` failed.")))
    assert "reason: Rate exceeded\n" in message
    assert "deploy again" in message


def test_a_failure_without_a_resource_is_explained_by_the_output(shell: pytest.MonkeyPatch) -> None:
    said = "`cdk deploy` failed. Its end:\nNeed to perform AWS calls, but no credentials have been configured"
    message = str(FailureRecorder(STAGE).explained(TwinError(said)))
    assert message.startswith(said)
    assert "aws sso login" in message


def test_the_tail_is_the_newest_and_bounded(aws: Aws, said: None) -> None:
    assert tail(aws("logs"), GROUP) == LAST_WORDS
    assert tail(aws("logs"), GROUP, lines=1) == LAST_WORDS[-1:]
    assert tail(aws("logs"), "/no/such/group") == ()


@pytest.fixture
def stopped(recorded: Recorded, shell: pytest.MonkeyPatch) -> None:
    """An ECS service whose tasks stop; answers have the shape of the ECS API."""
    options = {"awslogs-group": GROUP, "awslogs-stream-prefix": "api"}
    container = {"name": "api", "logConfiguration": {"logDriver": "awslogs", "options": options}}
    recorded.operations = {
        "DescribeServices": {"services": [{"serviceArn": SERVICE, "taskDefinition": "task:1"}]},
        "DescribeTaskDefinition": {"taskDefinition": {"containerDefinitions": [container]}},
        "ListTasks": {"taskArns": [f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/cluster/1"]},
        "DescribeTasks": {
            "tasks": [
                {
                    "stoppedReason": "Essential container in task exited",
                    "containers": [
                        {
                            "name": "api",
                            "exitCode": 137,
                            "reason": "OutOfMemoryError: Container killed due to memory usage",
                        }
                    ],
                }
            ]
        },
    }
    shell.setenv("AWS_ENDPOINT_URL_ECS", recorded.url)


def test_stopped_tasks_say_why(stopped: None, said: None) -> None:
    (evidence,) = of_service(STAGE, "cluster", "api")
    assert evidence.source == GROUP
    assert evidence.lines == LAST_WORDS
    assert evidence.reasons == (
        "Essential container in task exited",
        "OutOfMemoryError: Container killed due to memory usage",
        "container api exited with code 137",
    )


def test_a_service_that_never_gets_ready_is_explained(stopped: None) -> None:
    error = explained_unready(TwinError("The RAG service is not ready after 45 s: 503"), STAGE, "cluster", "api")
    assert str(error).splitlines()[0] == "The RAG service is not ready after 45 s: 503"
    assert "means:  The container wanted more memory than it was given and was killed." in str(error)
    assert "stopped: Essential container in task exited" in str(error)
