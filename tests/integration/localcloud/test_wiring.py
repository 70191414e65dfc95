"""Wiring that is broken in a template breaks here as it would on AWS, with a sentence that names what is wrong."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import httpx
import pytest

from tests.integration.localcloud.conftest import Cloud

CONTAINER_PORT = 8000
# A container that answers its health check, and its environment on every path.
SERVER = """
import http.server, json, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(json.dumps(dict(os.environ)).encode())
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
CLUSTER = "wiring"


class Declared:
    """Declares one ECS service, as CloudFormation would."""

    def __init__(self, cloud: Cloud, name: str) -> None:
        self.cloud = cloud
        self.name = name
        cloud.client("ecs").create_cluster(clusterName=CLUSTER)
        self.role = cloud.client("iam").create_role(
            RoleName=f"{name}-role",
            AssumeRolePolicyDocument=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Action": "sts:AssumeRole",
                            "Principal": {"Service": "ecs-tasks.amazonaws.com"},
                        }
                    ],
                }
            ),
        )["Role"]["Arn"]
        self.secret = cloud.client("secretsmanager").create_secret(Name=f"{name}-key", SecretString="s3cr3t-value")[
            "ARN"
        ]
        self.target_group = self._target_group()

    def grant(self, action: str, resource: str) -> None:
        policy = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}],
        }
        self.cloud.client("iam").put_role_policy(
            RoleName=f"{self.name}-role", PolicyName=action.replace(":", "-"), PolicyDocument=json.dumps(policy)
        )

    def task(
        self,
        *,
        command: tuple[str, ...] = ("python", "-c", SERVER),
        environment: dict[str, str] | None = None,
        secrets: dict[str, str] | None = None,
    ) -> str:
        variables = {"PORT": str(CONTAINER_PORT), **(environment or {})}
        container = {
            "name": "api",
            "image": "api:1",
            "command": list(command),
            "portMappings": [{"containerPort": CONTAINER_PORT}],
            "environment": [{"name": name, "value": value} for name, value in variables.items()],
            "secrets": [{"name": name, "valueFrom": value} for name, value in (secrets or {}).items()],
            "stopTimeout": 5,
        }
        described = self.cloud.client("ecs").register_task_definition(
            family=self.name, executionRoleArn=self.role, taskRoleArn=self.role, containerDefinitions=[container]
        )
        return str(described["taskDefinition"]["taskDefinitionArn"])

    def service(self, task: str, count: int = 1) -> None:
        self.cloud.client("ecs").create_service(
            cluster=CLUSTER,
            serviceName=self.name,
            taskDefinition=task,
            desiredCount=count,
            launchType="FARGATE",
            loadBalancers=[
                {"targetGroupArn": self.target_group, "containerName": "api", "containerPort": CONTAINER_PORT}
            ],
        )

    def update(self, **changed: Any) -> None:
        self.cloud.client("ecs").update_service(cluster=CLUSTER, service=self.name, **changed)

    def targets(self) -> set[int]:
        health = self.cloud.client("elbv2").describe_target_health(TargetGroupArn=self.target_group)
        return {found["Target"]["Port"] for found in health["TargetHealthDescriptions"]}

    def _target_group(self) -> str:
        vpc = self.cloud.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        group = self.cloud.client("elbv2").create_target_group(
            Name=f"{self.name}-group",
            Protocol="HTTP",
            Port=CONTAINER_PORT,
            VpcId=vpc,
            TargetType="ip",
            HealthCheckPath="/healthz",
            HealthCheckIntervalSeconds=5,
            HealthCheckTimeoutSeconds=2,
            UnhealthyThresholdCount=2,
        )
        return str(group["TargetGroups"][0]["TargetGroupArn"])


def _crashing(service: Declared) -> None:
    service.service(service.task(command=("python", "-c", "raise SystemExit('no disk in the drive')")))


def _exact(service: Declared) -> None:
    service.grant("secretsmanager:GetSecretValue", service.secret)
    service.service(service.task(environment={"STAGE": "local"}, secrets={"THE_KEY": service.secret}))


def _without_variable(service: Declared) -> None:
    command = ("python", "-m", "services.rag")
    service.service(service.task(command=command, environment={"QDRANT_URI": "http://x"}))


def _without_grant(service: Declared) -> None:
    service.service(service.task(secrets={"THE_KEY": service.secret}))


def _without_secret(service: Declared) -> None:
    service.service(service.task(secrets={"THE_KEY": service.secret + "x"}))


def _ungranted_queue(service: Declared) -> None:
    service.service(service.task(environment={"SAMPLES_QUEUE_URL": "http://127.0.0.1/000000000000/samples"}))


def _wrong_port(service: Declared) -> None:
    service.service(service.task(environment={"PORT": "9000"}))


def _sound(service: Declared) -> None:
    service.service(service.task(environment={"RELEASE": "one"}))


def _two(service: Declared) -> None:
    service.service(service.task(environment={"RELEASE": "one"}), count=2)


SERVICES = {
    "exact": _exact,
    "without-variable": _without_variable,
    "without-grant": _without_grant,
    "granted-later": _without_grant,
    "without-secret": _without_secret,
    "ungranted-queue": _ungranted_queue,
    "wrong-port": _wrong_port,
    "crashing": _crashing,
    "killed": _sound,
    "hanging": _sound,
    "changed": _two,
    "updated": _sound,
}


@pytest.fixture(scope="module")
def declared(cloud: Cloud) -> dict[str, Declared]:
    """A service for each test. All are declared at once, since a local cloud starts many side by side."""
    found = {}
    for name, declare in SERVICES.items():
        found[name] = Declared(cloud, name)
        declare(found[name])
    return found


def running(processes: list[Any], count: int = 1) -> bool:
    return [process.status for process in processes] == ["healthy"] * count


def environment_of(port: int) -> dict[str, str]:
    found: dict[str, str] = httpx.get(f"http://127.0.0.1:{port}/environment", trust_env=False).json()
    return found


def test_a_container_gets_exactly_what_was_declared(cloud: Cloud, declared: dict[str, Declared]) -> None:
    (process,) = cloud.until(declared["exact"].name, running)
    environment = environment_of(process.port)
    assert environment["STAGE"] == "local"
    assert environment["THE_KEY"] == "s3cr3t-value"
    assert environment["PORT"] == str(process.port)
    own = {name for name in environment if not name.startswith(("AWS_", "PYTHON", "LOCALCLOUD_", "LC_"))}
    platform = {"PATH", "HOME", "LANG", "TZ", "LD_LIBRARY_PATH", "BIND_HOST"}
    assert own - platform == {"STAGE", "THE_KEY", "PORT"}


def test_a_missing_variable_is_named(cloud: Cloud, declared: dict[str, Declared]) -> None:
    reason = cloud.failure(declared["without-variable"].name)
    assert "environment variable QDRANT_URL is not set" in reason


def test_a_missing_secret_grant_is_named(cloud: Cloud, declared: dict[str, Declared]) -> None:
    service = declared["without-grant"]
    reason = cloud.failure(service.name)
    assert "secret THE_KEY needs secretsmanager:GetSecretValue" in reason
    assert f"role {service.name}-role does not grant" in reason
    assert "s3cr3t-value" not in reason


def test_a_grant_that_arrives_later_is_enough(cloud: Cloud, declared: dict[str, Declared]) -> None:
    service = declared["granted-later"]
    cloud.failure(service.name)
    service.grant("secretsmanager:GetSecretValue", service.secret)
    cloud.until(service.name, running)


def test_a_secret_that_does_not_exist_is_named(cloud: Cloud, declared: dict[str, Declared]) -> None:
    assert "secret THE_KEY cannot be read" in cloud.failure(declared["without-secret"].name)


def test_an_ungranted_queue_is_named(cloud: Cloud, declared: dict[str, Declared]) -> None:
    reason = cloud.failure(declared["ungranted-queue"].name)
    assert "variable SAMPLES_QUEUE_URL needs sqs:SendMessage" in reason


def test_a_wrong_container_port_is_named(cloud: Cloud, declared: dict[str, Declared]) -> None:
    reason = cloud.failure(declared["wrong-port"].name)
    assert "PORT=9000" in reason
    assert str(CONTAINER_PORT) in reason


def test_a_container_that_crashes_is_tried_again_and_shows_its_last_log_line(
    cloud: Cloud, declared: dict[str, Declared]
) -> None:
    reason = cloud.failure(declared["crashing"].name)
    assert "exited with code 1" in reason
    assert "no disk in the drive" in reason


def test_a_killed_task_leaves_the_load_balancer_and_is_started_again(
    cloud: Cloud, declared: dict[str, Declared]
) -> None:
    service = declared["killed"]
    (first,) = cloud.until(service.name, running)
    cloud.until(service.name, lambda _: service.targets() == {first.port})
    os.kill(first.pid, signal.SIGKILL)
    (second,) = cloud.until(service.name, lambda found: running(found) and found[0].pid != first.pid)
    assert second.restarts == 1
    cloud.until(service.name, lambda _: service.targets() == {second.port})


def test_a_task_that_hangs_is_replaced_by_the_rules_of_its_target_group(
    cloud: Cloud, declared: dict[str, Declared]
) -> None:
    service = declared["hanging"]
    (first,) = cloud.until(service.name, running)
    os.kill(first.pid, signal.SIGSTOP)
    (second,) = cloud.until(service.name, lambda found: running(found) and found[0].pid != first.pid)
    cloud.until(service.name, lambda _: service.targets() == {second.port})
    log = (cloud.root / ".local" / "logs" / "supervisor.log").read_text()
    assert f"{second.resource}: GET /healthz did not succeed within 2 s 2 times in a row" in log


def test_desired_count_and_a_changed_variable_reach_the_processes(cloud: Cloud, declared: dict[str, Declared]) -> None:
    service = declared["changed"]
    before = cloud.until(service.name, lambda found: running(found, 2))
    service.update(taskDefinition=service.task(environment={"RELEASE": "two"}), desiredCount=1)
    pids = {process.pid for process in before}
    (process,) = cloud.until(service.name, lambda found: running(found) and found[0].pid not in pids)
    assert environment_of(process.port)["RELEASE"] == "two"
    cloud.until(service.name, lambda _: service.targets() == {process.port})


def test_a_release_that_cannot_start_leaves_the_old_one_serving(cloud: Cloud, declared: dict[str, Declared]) -> None:
    service = declared["updated"]
    (before,) = cloud.until(service.name, running)
    service.update(taskDefinition=service.task(command=("python", "-c", "raise SystemExit(78)")))
    cloud.failure(service.name)
    assert environment_of(before.port)["RELEASE"] == "one"
    assert service.targets() == {before.port}
