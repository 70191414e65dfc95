"""The API's path on the emulator: what ECS and the load balancer read back, and how requests reach a target."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from tests.integration.emulator.cases import ACCOUNT, NETWORK
from tests.integration.emulator.conftest import Aws, Emulator, Resources, Stacks

STACK = "served"
BALANCER = "served-front"
ECS = f"arn:aws:ecs:us-east-1:{ACCOUNT}"


def task_definition(release: str) -> dict[str, Any]:
    container = {
        "Name": "api",
        "Image": "api:1",
        "Essential": True,
        "Command": ["python", "-m", "api"],
        "Environment": [{"Name": "RELEASE", "Value": release}],
        "PortMappings": [{"ContainerPort": 8000, "Protocol": "tcp"}],
        "MountPoints": [{"ContainerPath": "/tmp", "SourceVolume": "scratch", "ReadOnly": False}],
        "ReadonlyRootFilesystem": True,
        "StopTimeout": 45,
        "User": "1000",
    }
    properties = {
        "Family": "served-api",
        "Cpu": "512",
        "Memory": "1024",
        "NetworkMode": "awsvpc",
        "RequiresCompatibilities": ["FARGATE"],
        "RuntimePlatform": {"CpuArchitecture": "ARM64", "OperatingSystemFamily": "LINUX"},
        "EphemeralStorage": {"SizeInGiB": 21},
        "Volumes": [{"Name": "scratch"}],
        "TaskRoleArn": f"arn:aws:iam::{ACCOUNT}:role/task",
        "ExecutionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/execution",
        "ContainerDefinitions": [container],
    }
    return {"Type": "AWS::ECS::TaskDefinition", "Properties": properties}


def resources(release: str = "one", tasks: int = 2) -> Resources:
    """A service behind a load balancer, as the business stack declares it."""
    service = {
        "ServiceName": "served-api",
        "Cluster": {"Ref": "Cluster"},
        "TaskDefinition": {"Ref": "Task"},
        "DesiredCount": tasks,
        "LaunchType": "FARGATE",
        "HealthCheckGracePeriodSeconds": 30,
        "DeploymentConfiguration": {"DeploymentCircuitBreaker": {"Enable": True, "Rollback": True}},
        "NetworkConfiguration": {
            "AwsvpcConfiguration": {
                "Subnets": [{"Ref": "Subnet"}],
                "SecurityGroups": [{"Ref": "Group"}],
                "AssignPublicIp": "ENABLED",
            }
        },
        "LoadBalancers": [{"ContainerName": "api", "ContainerPort": 8000, "TargetGroupArn": {"Ref": "Targets"}}],
    }
    balancer = {
        "Name": BALANCER,
        "Type": "application",
        "Scheme": "internet-facing",
        "Subnets": [{"Ref": "Subnet"}, {"Ref": "OtherSubnet"}],
        "SecurityGroups": [{"Ref": "Group"}],
        "LoadBalancerAttributes": [{"Key": "idle_timeout.timeout_seconds", "Value": "120"}],
    }
    targets = {
        "Port": 8000,
        "Protocol": "HTTP",
        "TargetType": "ip",
        "VpcId": {"Ref": "Vpc"},
        "HealthCheckPath": "/readyz",
        "TargetGroupAttributes": [{"Key": "deregistration_delay.timeout_seconds", "Value": "60"}],
    }
    forward = {"Type": "forward", "TargetGroupArn": {"Ref": "Targets"}}
    listener = {"LoadBalancerArn": {"Ref": "Balancer"}, "Port": 80, "Protocol": "HTTP", "DefaultActions": [forward]}
    return {
        **NETWORK,
        "Balancer": {"Type": "AWS::ElasticLoadBalancingV2::LoadBalancer", "Properties": balancer},
        "Targets": {"Type": "AWS::ElasticLoadBalancingV2::TargetGroup", "Properties": targets},
        "Listener": {"Type": "AWS::ElasticLoadBalancingV2::Listener", "Properties": listener},
        "Cluster": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": "served"}},
        "Task": task_definition(release),
        "Service": {"Type": "AWS::ECS::Service", "DependsOn": "Listener", "Properties": service},
    }


@pytest.fixture
def served(stacks: Stacks) -> Iterator[Stacks]:
    assert stacks.create(STACK, resources()) == "CREATE_COMPLETE", stacks.failures(STACK)
    yield stacks
    stacks.delete(STACK)


def described_service(aws: Aws) -> dict[str, Any]:
    (found,) = aws("ecs").describe_services(cluster="served", services=["served-api"])["services"]
    return dict(found)


def described_tasks(aws: Aws) -> list[dict[str, Any]]:
    ecs = aws("ecs")
    arns = ecs.list_tasks(cluster="served", serviceName="served-api")["taskArns"]
    return list(ecs.describe_tasks(cluster="served", tasks=arns)["tasks"]) if arns else []


def test_a_task_definition_reads_back_as_declared(served: Stacks, aws: Aws) -> None:
    arn = served.physical_id(STACK, "Task")
    found = aws("ecs").describe_task_definition(taskDefinition=arn)["taskDefinition"]
    assert found["taskDefinitionArn"] == arn
    assert arn.startswith(f"{ECS}:task-definition/served-api:")
    assert (found["family"], found["status"], found["networkMode"]) == ("served-api", "ACTIVE", "awsvpc")
    assert (found["cpu"], found["memory"], found["requiresCompatibilities"]) == ("512", "1024", ["FARGATE"])
    assert found["runtimePlatform"] == {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"}
    assert found["ephemeralStorage"] == {"sizeInGiB": 21}
    assert found["volumes"] == [{"name": "scratch"}]
    assert (found["taskRoleArn"], found["executionRoleArn"]) == (
        f"arn:aws:iam::{ACCOUNT}:role/task",
        f"arn:aws:iam::{ACCOUNT}:role/execution",
    )
    (container,) = found["containerDefinitions"]
    assert container == {
        "name": "api",
        "image": "api:1",
        "essential": True,
        "command": ["python", "-m", "api"],
        "environment": [{"name": "RELEASE", "value": "one"}],
        "portMappings": [{"containerPort": 8000, "protocol": "tcp"}],
        "mountPoints": [{"containerPath": "/tmp", "sourceVolume": "scratch", "readOnly": False}],
        "readonlyRootFilesystem": True,
        "stopTimeout": 45,
        "user": "1000",
    }


def test_a_service_and_its_tasks_read_back_as_declared(served: Stacks, aws: Aws) -> None:
    ecs = aws("ecs")
    assert f"{ECS}:cluster/served" in ecs.list_clusters()["clusterArns"]
    assert ecs.list_services(cluster="served")["serviceArns"] == [f"{ECS}:service/served/served-api"]
    found = described_service(aws)
    assert found["serviceArn"] == served.physical_id(STACK, "Service")
    assert (found["status"], found["desiredCount"], found["launchType"]) == ("ACTIVE", 2, "FARGATE")
    assert found["taskDefinition"] == served.physical_id(STACK, "Task")
    assert found["healthCheckGracePeriodSeconds"] == 30
    assert found["deploymentConfiguration"]["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
    assert found["networkConfiguration"]["awsvpcConfiguration"] == {
        "subnets": [served.physical_id(STACK, "Subnet")],
        "securityGroups": [served.physical_id(STACK, "Group")],
        "assignPublicIp": "ENABLED",
    }
    group = served.physical_id(STACK, "Targets")
    assert found["loadBalancers"] == [{"containerName": "api", "containerPort": 8000, "targetGroupArn": group}]

    tasks = described_tasks(aws)
    assert [task["taskDefinitionArn"] for task in tasks] == [found["taskDefinition"]] * 2
    assert {task["group"] for task in tasks} == {"service:served-api"}
    assert [[container["name"] for container in task["containers"]] for task in tasks] == [["api"]] * 2


def test_a_new_release_gets_new_tasks_and_a_count_is_followed(served: Stacks, aws: Aws) -> None:
    before = served.physical_id(STACK, "Task")
    assert served.update(STACK, resources("two", tasks=1)) == "UPDATE_COMPLETE", served.failures(STACK)
    after = served.physical_id(STACK, "Task")
    assert after != before
    found = described_service(aws)
    assert (found["taskDefinition"], found["desiredCount"]) == (after, 1)
    running = [task for task in described_tasks(aws) if task["desiredStatus"] == "RUNNING"]
    assert [task["taskDefinitionArn"] for task in running] == [after]
    (container,) = aws("ecs").describe_task_definition(taskDefinition=after)["taskDefinition"]["containerDefinitions"]
    assert container["environment"] == [{"name": "RELEASE", "value": "two"}]


def test_a_deleted_service_leaves_nothing(stacks: Stacks, aws: Aws) -> None:
    assert stacks.create(STACK, resources()) == "CREATE_COMPLETE", stacks.failures(STACK)
    definition = stacks.physical_id(STACK, "Task")
    stacks.delete(STACK)
    ecs, balancing = aws("ecs"), aws("elbv2")
    assert f"{ECS}:cluster/served" not in ecs.list_clusters()["clusterArns"]
    with pytest.raises(ClientError, match="Cluster not found"):
        ecs.describe_services(cluster="served", services=["served-api"])
    assert ecs.list_task_definitions(familyPrefix="served-api", status="ACTIVE")["taskDefinitionArns"] == []
    assert ecs.describe_task_definition(taskDefinition=definition)["taskDefinition"]["status"] == "INACTIVE"
    assert balancing.describe_load_balancers()["LoadBalancers"] == []
    assert balancing.describe_target_groups()["TargetGroups"] == []


def test_a_load_balancer_reads_back_as_declared(served: Stacks, aws: Aws) -> None:
    balancing = aws("elbv2")
    balancer, group = served.physical_id(STACK, "Balancer"), served.physical_id(STACK, "Targets")
    (found,) = balancing.describe_load_balancers(Names=[BALANCER])["LoadBalancers"]
    assert (found["LoadBalancerArn"], found["Type"], found["Scheme"]) == (balancer, "application", "internet-facing")
    assert found["State"]["Code"] == "active"
    assert found["VpcId"] == served.physical_id(STACK, "Vpc")
    assert found["SecurityGroups"] == [served.physical_id(STACK, "Group")]
    assert {zone["SubnetId"] for zone in found["AvailabilityZones"]} == {
        served.physical_id(STACK, "Subnet"),
        served.physical_id(STACK, "OtherSubnet"),
    }
    attributes = balancing.describe_load_balancer_attributes(LoadBalancerArn=balancer)["Attributes"]
    assert {"Key": "idle_timeout.timeout_seconds", "Value": "120"} in attributes

    (targets,) = balancing.describe_target_groups(LoadBalancerArn=balancer)["TargetGroups"]
    assert (targets["TargetGroupArn"], targets["TargetType"], targets["Port"]) == (group, "ip", 8000)
    assert (targets["HealthCheckPath"], targets["VpcId"]) == ("/readyz", found["VpcId"])
    attributes = balancing.describe_target_group_attributes(TargetGroupArn=group)["Attributes"]
    assert {"Key": "deregistration_delay.timeout_seconds", "Value": "60"} in attributes

    (listener,) = balancing.describe_listeners(LoadBalancerArn=balancer)["Listeners"]
    assert (listener["Port"], listener["Protocol"]) == (80, "HTTP")
    assert [(action["Type"], action["TargetGroupArn"]) for action in listener["DefaultActions"]] == [("forward", group)]


class _Target(BaseHTTPRequestHandler):
    """Echoes a request; streams on /stream, its second event once the first one has been read."""

    protocol_version = "HTTP/1.1"
    first_was_read = threading.Event()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._respond("text/plain", f"{self.path} {self.headers['Authorization']} ".encode() + body)

    def do_GET(self) -> None:
        if self.path != "/stream":
            return self._respond("text/plain", b"", status=418)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._chunk(b"data: first\n\n")
        self._chunk(b"data: second\n\n" if self.first_was_read.wait(30) else b"data: the first was held back\n\n")
        return self._chunk(b"")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _respond(self, kind: str, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def listening() -> Iterator[int]:
    """A target's port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Target)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_requests_reach_registered_targets_and_stream_back(served: Stacks, aws: Aws, emulator: Emulator) -> None:
    balancing, group = aws("elbv2"), served.physical_id(STACK, "Targets")
    headers = {"Host": f"{BALANCER}.alb.localhost:{emulator.port}", "Authorization": "Bearer key"}
    with listening() as port, httpx.Client(base_url=emulator.url, headers=headers, timeout=60) as client:
        assert client.get("/healthz").status_code == 503

        target = [{"Id": "127.0.0.1", "Port": port}]
        balancing.register_targets(TargetGroupArn=group, Targets=target)
        health = balancing.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        assert [(found["Target"]["Id"], found["Target"]["Port"]) for found in health] == [("127.0.0.1", port)]

        answer = client.post("/rag?stage=a%20b", content="ünïcode".encode())
        assert (answer.status_code, answer.text) == (200, "/rag?stage=a%20b Bearer key ünïcode")
        assert client.get("/healthz").status_code == 418

        with client.stream("GET", "/stream") as stream:
            assert stream.headers["content-type"] == "text/event-stream"
            events = stream.iter_text()
            assert next(events) == "data: first\n\n"
            _Target.first_was_read.set()
            assert "".join(events) == "data: second\n\n"

        balancing.deregister_targets(TargetGroupArn=group, Targets=target)
        assert client.get("/healthz").status_code == 503


def test_targets_at_one_address_differ_by_their_ports(served: Stacks, aws: Aws, emulator: Emulator) -> None:
    balancing, group = aws("elbv2"), served.physical_id(STACK, "Targets")
    headers = {"Host": f"{BALANCER}.alb.localhost:{emulator.port}"}

    def ports() -> set[int]:
        described = balancing.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        return {found["Target"]["Port"] for found in described}

    with listening() as old, listening() as new:
        for port in (old, new, new):
            balancing.register_targets(TargetGroupArn=group, Targets=[{"Id": "127.0.0.1", "Port": port}])
        assert ports() == {old, new}
        asked = [{"Id": "127.0.0.1", "Port": new}]
        (one,) = balancing.describe_target_health(TargetGroupArn=group, Targets=asked)["TargetHealthDescriptions"]
        assert one["Target"]["Port"] == new
        # A rolling deployment takes the old task out while the new one serves: no request is refused.
        balancing.deregister_targets(TargetGroupArn=group, Targets=[{"Id": "127.0.0.1", "Port": old}])
        assert ports() == {new}
        assert httpx.get(f"{emulator.url}/healthz", headers=headers, timeout=30).status_code == 418
        balancing.register_targets(TargetGroupArn=group, Targets=[{"Id": "127.0.0.1", "Port": old}])
        balancing.deregister_targets(TargetGroupArn=group, Targets=[{"Id": "127.0.0.1"}])
        assert ports() == set()


def test_a_target_that_is_gone_is_a_bad_gateway(served: Stacks, aws: Aws, emulator: Emulator) -> None:
    with listening() as port:
        pass
    target = [{"Id": "127.0.0.1", "Port": port}]
    aws("elbv2").register_targets(TargetGroupArn=served.physical_id(STACK, "Targets"), Targets=target)
    answer = httpx.get(emulator.url, headers={"Host": f"{BALANCER}.alb.localhost"}, timeout=30)
    assert answer.status_code == 502
