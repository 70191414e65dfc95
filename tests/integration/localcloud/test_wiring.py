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
# A container that answers its health check, and says on another path what it was given.
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
        )
        return str(group["TargetGroups"][0]["TargetGroupArn"])


@pytest.fixture
def declared(cloud: Cloud, request: pytest.FixtureRequest) -> Declared:
    return Declared(cloud, f"api-{abs(hash(request.node.name)) % 10**6}")


def running(processes: list[Any], count: int = 1) -> bool:
    return [process.status for process in processes] == ["healthy"] * count


def told(port: int) -> dict[str, str]:
    found: dict[str, str] = httpx.get(f"http://127.0.0.1:{port}/told", trust_env=False).json()
    return found


def test_a_container_gets_exactly_what_was_declared(cloud: Cloud, declared: Declared) -> None:
    declared.grant("secretsmanager:GetSecretValue", declared.secret)
    declared.service(declared.task(environment={"STAGE": "local"}, secrets={"THE_KEY": declared.secret}))
    (process,) = cloud.until(declared.name, running)
    environment = told(process.port)
    assert environment["STAGE"] == "local"
    assert environment["THE_KEY"] == "s3cr3t-value"
    assert environment["PORT"] == str(process.port)
    own = {name for name in environment if not name.startswith(("AWS_", "PYTHON", "LOCALCLOUD_", "LC_"))}
    platform = {"PATH", "HOME", "LANG", "TZ", "LD_LIBRARY_PATH", "BIND_HOST"}
    assert own - platform == {"STAGE", "THE_KEY", "PORT"}


def test_a_missing_variable_is_named(cloud: Cloud, declared: Declared) -> None:
    declared.service(declared.task(command=("python", "-m", "services.rag"), environment={"QDRANT_URI": "http://x"}))
    reason = cloud.failure(declared.name)
    assert "environment variable QDRANT_URL is not set" in reason


def test_a_missing_secret_grant_is_named(cloud: Cloud, declared: Declared) -> None:
    declared.service(declared.task(secrets={"THE_KEY": declared.secret}))
    reason = cloud.failure(declared.name)
    assert "secret THE_KEY needs secretsmanager:GetSecretValue" in reason
    assert f"role {declared.name}-role does not grant" in reason
    assert "s3cr3t-value" not in reason


def test_a_grant_that_arrives_later_is_enough(cloud: Cloud, declared: Declared) -> None:
    declared.service(declared.task(secrets={"THE_KEY": declared.secret}))
    cloud.failure(declared.name)
    declared.grant("secretsmanager:GetSecretValue", declared.secret)
    cloud.until(declared.name, running)


def test_a_secret_that_does_not_exist_is_named(cloud: Cloud, declared: Declared) -> None:
    declared.service(declared.task(secrets={"THE_KEY": declared.secret + "x"}))
    assert "secret THE_KEY cannot be read" in cloud.failure(declared.name)


def test_an_ungranted_queue_is_named(cloud: Cloud, declared: Declared) -> None:
    declared.service(declared.task(environment={"SAMPLES_QUEUE_URL": "http://127.0.0.1/000000000000/samples"}))
    assert "variable SAMPLES_QUEUE_URL needs sqs:SendMessage" in cloud.failure(declared.name)


def test_a_wrong_container_port_is_named(cloud: Cloud, declared: Declared) -> None:
    declared.service(declared.task(environment={"PORT": "9000"}))
    reason = cloud.failure(declared.name)
    assert "PORT=9000" in reason
    assert str(CONTAINER_PORT) in reason


def test_a_container_that_crashes_is_given_up_with_its_last_words(cloud: Cloud, declared: Declared) -> None:
    declared.service(declared.task(command=("python", "-c", "raise SystemExit('no disk in the drive')")))
    reason = cloud.failure(declared.name)
    assert "exited with code 1" in reason
    assert "no disk in the drive" in reason


def test_a_killed_task_leaves_the_load_balancer_and_is_started_again(cloud: Cloud, declared: Declared) -> None:
    declared.service(declared.task())
    (first,) = cloud.until(declared.name, running)
    cloud.until(declared.name, lambda _: declared.targets() == {first.port})
    os.kill(first.pid, signal.SIGKILL)
    (second,) = cloud.until(declared.name, lambda found: running(found) and found[0].pid != first.pid)
    assert second.restarts == 1
    cloud.until(declared.name, lambda _: declared.targets() == {second.port})


def test_desired_count_and_a_changed_variable_reach_the_processes(cloud: Cloud, declared: Declared) -> None:
    declared.service(declared.task(environment={"RELEASE": "one"}), count=2)
    before = cloud.until(declared.name, lambda found: running(found, 2))
    declared.update(taskDefinition=declared.task(environment={"RELEASE": "two"}), desiredCount=1)
    pids = {process.pid for process in before}
    (process,) = cloud.until(declared.name, lambda found: running(found) and found[0].pid not in pids)
    assert told(process.port)["RELEASE"] == "two"
    cloud.until(declared.name, lambda _: declared.targets() == {process.port})


def test_a_release_that_cannot_start_leaves_the_old_one_serving(cloud: Cloud, declared: Declared) -> None:
    declared.service(declared.task(environment={"RELEASE": "one"}))
    (before,) = cloud.until(declared.name, running)
    declared.update(taskDefinition=declared.task(command=("python", "-c", "raise SystemExit(78)")))
    cloud.failure(declared.name)
    assert told(before.port)["RELEASE"] == "one"
    assert declared.targets() == {before.port}
