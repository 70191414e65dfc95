"""A deployment of an ECS service is complete when its release serves, and fails as on AWS when that cannot start."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from localcloud import lifecycle
from tests.integration.localcloud.conftest import START_SECONDS, Cloud

SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(os.environ["RELEASE"].encode())
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
# Serves when the file of CAUSE exists; until then it ends, as a program does whose database is away.
WAITING = "import os, sys\nif not os.path.exists(os.environ['CAUSE']): sys.exit('the cause is still there')\n" + SERVER
BROKEN = "raise SystemExit('no disk in the drive')"
SILENT = "import time; print('loading', flush=True); time.sleep(600)"


class Stack:
    """A stack of one ECS service behind a target group."""

    def __init__(self, cloud: Cloud, name: str, *, breaker: bool = True) -> None:
        self.cloud = cloud
        self.name = name
        self.breaker = breaker
        self._client = cloud.client("cloudformation")

    def template(self, release: str, code: str = SERVER, count: int = 1, cause: Path | None = None) -> str:
        environment = {"PORT": "8000", "RELEASE": release, "CAUSE": str(cause)}
        container = {
            "Name": "api",
            "Image": "api:1",
            "Command": ["python", "-c", code],
            "Environment": [{"Name": name, "Value": value} for name, value in environment.items()],
            "PortMappings": [{"ContainerPort": 8000}],
            "StopTimeout": 5,
        }
        service: dict[str, Any] = {
            "ServiceName": self.name,
            "Cluster": {"Ref": "Cluster"},
            "TaskDefinition": {"Ref": "Task"},
            "DesiredCount": count,
            "LoadBalancers": [{"ContainerName": "api", "ContainerPort": 8000, "TargetGroupArn": {"Ref": "Targets"}}],
        }
        if self.breaker:
            service["DeploymentConfiguration"] = {"DeploymentCircuitBreaker": {"Enable": True, "Rollback": True}}
        health = {"HealthCheckPath": "/", "HealthCheckTimeoutSeconds": 2}
        targets = {**health, "Port": 8000, "Protocol": "HTTP", "TargetType": "ip", "VpcId": {"Ref": "Vpc"}}
        resources = {
            "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
            "Targets": {"Type": "AWS::ElasticLoadBalancingV2::TargetGroup", "Properties": targets},
            "Cluster": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": self.name}},
            "Task": {
                "Type": "AWS::ECS::TaskDefinition",
                "Properties": {"Family": self.name, "ContainerDefinitions": [container]},
            },
            "Service": {"Type": "AWS::ECS::Service", "Properties": service},
        }
        return json.dumps({"Resources": resources, "Outputs": {"Targets": {"Value": {"Ref": "Targets"}}}})

    def create(self, *arguments: Any, **named: Any) -> str:
        """The status that the new stack settles in."""
        self.start_creation(*arguments, **named)
        return self.settled()

    def start_creation(self, *arguments: Any, **named: Any) -> None:
        """Begin a creation without waiting."""
        self._client.create_stack(StackName=self.name, TemplateBody=self.template(*arguments, **named))

    def update(self, *arguments: Any, **named: Any) -> str:
        """The status that the changed stack settles in."""
        self._client.update_stack(StackName=self.name, TemplateBody=self.template(*arguments, **named))
        return self.settled()

    def failures(self) -> str:
        """Why resources failed."""
        events = self._client.describe_stack_events(StackName=self.name)["StackEvents"]
        failed = [e for e in events if e["ResourceStatus"].endswith("_FAILED")]
        return "\n".join(event.get("ResourceStatusReason", "") for event in failed)

    def service(self) -> dict[str, Any]:
        """The service as it is described now."""
        (found,) = self.cloud.client("ecs").describe_services(cluster=self.name, services=[self.name])["services"]
        return dict(found)

    def rollout(self) -> str:
        """State of the primary deployment."""
        return str(next(d["rolloutState"] for d in self.service()["deployments"] if d["status"] == "PRIMARY"))

    def update_service(self, **changed: Any) -> None:
        self.cloud.client("ecs").update_service(cluster=self.name, service=self.name, **changed)

    def serving(self) -> list[str]:
        """The release of each target that the load balancer sends to now."""
        described = self._client.describe_stacks(StackName=self.name)["Stacks"][0]["Outputs"]
        group = described[0]["OutputValue"]
        health = self.cloud.client("elbv2").describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        ports = [found["Target"]["Port"] for found in health]
        return [httpx.get(f"http://127.0.0.1:{port}/", trust_env=False, timeout=10).text for port in ports]

    def until(self, good: Callable[[], bool], seconds: float = 40) -> None:
        deadline = time.monotonic() + seconds
        while not good():
            assert time.monotonic() < deadline, (self.service(), self.cloud.state().processes)
            time.sleep(0.1)

    def settled(self) -> str:
        """The stack's status once nothing is in progress."""
        deadline = time.monotonic() + 100
        while True:
            status = str(self._client.describe_stacks(StackName=self.name)["Stacks"][0]["StackStatus"])
            if not status.endswith("_IN_PROGRESS"):
                return status
            assert time.monotonic() < deadline, self.service()
            time.sleep(0.05)


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A local cloud that waits for a deployment for ten seconds at most."""
    root = tmp_path_factory.mktemp("impatient")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LOCALCLOUD_STABILISE_SECONDS", "10")
        lifecycle.start(root, START_SECONDS)
    yield Cloud(root)
    lifecycle.stop(root)


def messages(service: dict[str, Any]) -> str:
    return "\n".join(event["message"] for event in service["events"])


@pytest.mark.parametrize("count", [1, 2])
def test_a_stack_is_complete_when_every_task_of_the_release_serves(cloud: Cloud, count: int) -> None:
    stack = Stack(cloud, f"good-{count}")
    assert stack.create("one", count=count) == "CREATE_COMPLETE", stack.failures()
    assert stack.serving() == ["one"] * count
    assert stack.update("two", count=count) == "UPDATE_COMPLETE", stack.failures()
    assert stack.serving() == ["two"] * count
    found = stack.service()
    assert [d["rolloutState"] for d in found["deployments"]] == ["COMPLETED"]
    assert (found["runningCount"], found["pendingCount"]) == (count, 0)
    assert found["events"][0]["message"] == f"(service {stack.name}) has reached a steady state."
    # A changed number is complete when that many serve, without a new deployment.
    assert stack.update("two", count=count + 1) == "UPDATE_COMPLETE", stack.failures()
    assert stack.serving() == ["two"] * (count + 1)
    assert stack.service()["deployments"][0]["id"] == found["deployments"][0]["id"]


def test_a_first_release_that_cannot_start_is_rolled_back_with_its_last_words(cloud: Cloud) -> None:
    stack = Stack(cloud, "never")
    assert stack.create("one", BROKEN) == "ROLLBACK_COMPLETE"
    assert "Circuit Breaker was triggered" in stack.failures()
    assert "exited with code 1: no disk in the drive" in stack.failures()
    cloud.until("never", lambda processes: not processes)


@pytest.mark.parametrize("count", [1, 2])
def test_a_release_that_cannot_start_fails_and_the_old_one_serves_throughout(cloud: Cloud, count: int) -> None:
    stack = Stack(cloud, f"worse-{count}")
    assert stack.create("one", count=count) == "CREATE_COMPLETE", stack.failures()
    before = {process.pid for process in cloud.until(stack.name, lambda found: len(found) == count)}
    assert stack.update("two", BROKEN, count=count) == "UPDATE_ROLLBACK_COMPLETE"
    assert "no disk in the drive" in stack.failures()
    assert stack.serving() == ["one"] * count
    after = cloud.until(stack.name, lambda found: [p.status for p in found] == ["healthy"] * count)
    assert {process.pid for process in after} == before
    found = stack.service()
    assert "is unable to consistently start tasks successfully" in messages(found)
    failed = [d for d in found["deployments"] if d["rolloutState"] == "FAILED"]
    # Three in a row; of two tasks that fail at the same time both count.
    assert [d["failedTasks"] for d in failed] == [2 + count]
    assert failed[0]["rolloutStateReason"].startswith("ECS deployment circuit breaker was triggered")
    assert stack.rollout() == "COMPLETED"
    # The next release is not held back by the failed one.
    assert stack.update("three", count=count) == "UPDATE_COMPLETE", stack.failures()
    assert stack.serving() == ["three"] * count


def test_a_forced_deployment_and_one_outside_of_cloudformation_are_told_when_they_are_complete(cloud: Cloud) -> None:
    stack = Stack(cloud, "outside")
    assert stack.create("one") == "CREATE_COMPLETE", stack.failures()
    (before,) = cloud.until(stack.name, lambda found: len(found) == 1)
    stack.update_service(forceNewDeployment=True)
    assert stack.rollout() == "IN_PROGRESS"
    stack.until(lambda: stack.rollout() == "COMPLETED")
    assert stack.serving() == ["one"]
    (after,) = cloud.until(stack.name, lambda found: len(found) == 1)
    assert after.pid != before.pid
    definition = cloud.client("ecs").describe_task_definition(taskDefinition=stack.service()["taskDefinition"])
    broken = definition["taskDefinition"]["containerDefinitions"]
    broken[0]["command"] = ["python", "-c", BROKEN]
    registered = cloud.client("ecs").register_task_definition(family=stack.name, containerDefinitions=broken)
    stack.update_service(taskDefinition=registered["taskDefinition"]["taskDefinitionArn"])
    stack.until(lambda: "rolled back" in messages(stack.service()) and stack.rollout() == "COMPLETED")
    assert stack.service()["taskDefinition"] == definition["taskDefinition"]["taskDefinitionArn"]
    assert stack.serving() == ["one"]


def test_without_a_circuit_breaker_a_release_is_tried_until_it_starts(cloud: Cloud, tmp_path: Path) -> None:
    stack = Stack(cloud, "patient", breaker=False)
    cause = tmp_path / "gone"
    assert stack.create("one") == "CREATE_COMPLETE", stack.failures()
    definition = cloud.client("ecs").describe_task_definition(taskDefinition=stack.service()["taskDefinition"])
    changed = definition["taskDefinition"]["containerDefinitions"]
    changed[0]["command"] = ["python", "-c", WAITING]
    for pair in changed[0]["environment"]:
        pair["value"] = {"RELEASE": "two", "CAUSE": str(cause)}.get(pair["name"], pair["value"])
    registered = cloud.client("ecs").register_task_definition(family=stack.name, containerDefinitions=changed)
    stack.update_service(taskDefinition=registered["taskDefinition"]["taskDefinitionArn"])
    stack.until(lambda: stack.service()["deployments"][0]["failedTasks"] >= 4)
    assert stack.rollout() == "IN_PROGRESS"
    assert stack.serving() == ["one"]
    found = cloud.until(stack.name, lambda processes: any(p.status == "unhealthy" for p in processes))
    waiting = next(process for process in found if process.reason)
    assert "the cause is still there" in waiting.reason
    assert waiting.restarts >= 4
    cause.touch()
    # A changed number is tried at once, though the pause has grown.
    stack.update_service(desiredCount=2)
    stack.until(lambda: stack.rollout() == "COMPLETED")
    assert stack.serving() == ["two", "two"]
    assert [p.reason for p in cloud.until(stack.name, lambda processes: len(processes) == 2)] == ["", ""]


def test_a_service_that_was_deployed_is_healed_when_its_cause_is_gone(cloud: Cloud, tmp_path: Path) -> None:
    stack = Stack(cloud, "healing")
    cause = tmp_path / "present"
    cause.touch()
    assert stack.create("one", WAITING, cause=cause) == "CREATE_COMPLETE", stack.failures()
    (before,) = cloud.until(stack.name, lambda found: len(found) == 1)
    cause.unlink()
    os.kill(before.pid, signal.SIGKILL)
    cloud.until(stack.name, lambda found: any(p.restarts >= 5 and p.reason for p in found))
    assert stack.rollout() == "COMPLETED", "a deployment that was complete does not fail any more"
    cause.touch()
    cloud.until(stack.name, lambda found: [p.status for p in found] == ["healthy"])
    stack.until(lambda: stack.serving() == ["one"])


@pytest.mark.parametrize("breaker", [True, False])
def test_a_release_that_never_answers_fails_in_time(impatient: Cloud, breaker: bool) -> None:
    stack = Stack(impatient, f"silent-{breaker}".lower(), breaker=breaker)
    assert stack.create("one") == "CREATE_COMPLETE", stack.failures()
    assert stack.update("two", SILENT) == "UPDATE_ROLLBACK_COMPLETE"
    assert "did not stabilize within 10 s" in stack.failures()
    assert stack.serving() == ["one"]
    assert stack.rollout() == "COMPLETED"


def test_a_service_that_was_deleted_meanwhile_ends_the_wait(cloud: Cloud) -> None:
    stack = Stack(cloud, "gone", breaker=False)
    stack.start_creation("one", SILENT)
    cloud.until("gone", lambda found: len(found) == 1)
    cloud.client("ecs").delete_service(cluster="gone", service="gone", force=True)
    assert stack.settled() == "ROLLBACK_COMPLETE"
    assert "was deleted before it was steady" in stack.failures()
