"""ECS services: a process per task, and the load balancer targets that point to them."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.ports import LOOPBACK
from localcloud.process import base_environment
from localcloud.runner.aws import Aws
from localcloud.runner.grants import missing_grants, required_by_secrets, required_by_variables
from localcloud.runner.health import HealthCheck
from localcloud.runner.replicas import ReplicaSet, Spec
from localcloud.runner.secrets import SecretError, resolve
from localcloud.runner.settle import settle
from localcloud.state import ProcessState

DEFAULT_HEALTH_PATH = "/"
"""Default of HealthCheckPath, https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html."""
DEFAULT_STOP_SECONDS = 30.0
"""Default of stopTimeout, https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html."""


@dataclass(frozen=True)
class DeclaredService:
    """An ECS service with one container of its task definition.

    Attributes:
        cluster: ARN of its cluster.
        name: service name; its cluster is not part of it.
        deployment: id of its primary deployment.
        deployment_failed: whether that deployment has failed, so that ECS starts no more tasks of it.
        desired_count: wanted number of tasks.
        task_definition: as DescribeTaskDefinition answers it.
        container: the container behind the load balancer, or the first one.
        target_group: ARN of the load balancer's target group, None without one.
        container_port: port that the load balancer sends to, 0 without one.
        health: health check of the target group.
    """

    cluster: str
    name: str
    deployment: str
    deployment_failed: bool
    desired_count: int
    task_definition: Mapping[str, Any]
    container: Mapping[str, Any]
    target_group: str | None
    container_port: int
    health: HealthCheck

    @property
    def environment(self) -> dict[str, str]:
        """Declared variables: value by name."""
        return {pair["name"]: str(pair["value"]) for pair in self.container.get("environment", ())}

    @property
    def secrets(self) -> dict[str, str]:
        """Declared secrets: `valueFrom` (ARN of a secret or parameter) by variable name."""
        return {pair["name"]: pair["valueFrom"] for pair in self.container.get("secrets", ())}


class EcsRunner:
    """Keeps a replica set per ECS service, registers the serving processes as targets, and reports its deployment.

    A task cannot be started when a secret cannot be read, a role lacks a grant that its variables and secrets require,
    or `PORT` is not the container port. That counts as a failed task, and is tried again without end.
    """

    def __init__(self, aws: Aws, root: Path) -> None:
        self._aws = aws
        self._root = root
        self._sets: dict[str, ReplicaSet] = {}
        self._reported: dict[str, dict[str, Any]] = {}

    def tick(self) -> None:
        """Read all services from the emulator, and start, stop and register processes accordingly.

        Raises:
            ClientError: the emulator refused a call, e.g. for a service that was deleted meanwhile.
            BotoCoreError: the emulator does not answer.
            httpx.HTTPError: a deployment could not be reported.
        """
        declared = {service.name: service for service in self._declared()}
        for name in [name for name in self._sets if name not in declared]:
            self._sets.pop(name).stop()
            self._reported.pop(name, None)
        for service in declared.values():
            replicas = self._sets.setdefault(
                service.name,
                ReplicaSet(
                    _short_name(service.name),
                    "ecs",
                    f"ECS service {service.name}",
                    self._root / ".local" / "logs",
                ),
            )
            self._apply(service, replicas)
            replicas.tick()
        self._register_targets(declared)
        for service in declared.values():
            self._report(service, self._sets[service.name])

    def stop(self) -> None:
        """Stop every process."""
        for replicas in self._sets.values():
            replicas.stop()

    def states(self) -> list[ProcessState]:
        """State of every process, and of every service that failed."""
        return [state for replicas in self._sets.values() for state in replicas.states()]

    def _declared(self) -> Iterator[DeclaredService]:
        ecs = self._aws.client("ecs")
        for cluster in self._aws.pages("ecs", "list_clusters", "clusterArns"):
            arns = self._aws.pages("ecs", "list_services", "serviceArns", cluster=cluster)
            for start in range(0, len(arns), 10):
                described = ecs.describe_services(cluster=cluster, services=arns[start : start + 10])["services"]
                yield from (self._service(item) for item in described if item["status"] == "ACTIVE")

    def _service(self, item: Mapping[str, Any]) -> DeclaredService:
        described = self._aws.client("ecs").describe_task_definition(taskDefinition=item["taskDefinition"])
        definition = described["taskDefinition"]
        balanced = (item.get("loadBalancers") or [{}])[0]
        containers = definition["containerDefinitions"]
        container = next((c for c in containers if c["name"] == balanced.get("containerName")), containers[0])
        group = balanced.get("targetGroupArn")
        primary = next(found for found in item["deployments"] if found["status"] == "PRIMARY")
        return DeclaredService(
            cluster=item["clusterArn"],
            name=item["serviceName"],
            deployment=primary["id"],
            deployment_failed=primary.get("rolloutState") == "FAILED",
            desired_count=int(item.get("desiredCount", 1)),
            task_definition=definition,
            container=container,
            target_group=group,
            container_port=int(balanced.get("containerPort") or 0),
            health=self._health(group) if group else HealthCheck(DEFAULT_HEALTH_PATH),
        )

    def _health(self, group: str) -> HealthCheck:
        declared = self._aws.client("elbv2").describe_target_groups(TargetGroupArns=[group])["TargetGroups"][0]
        return HealthCheck(
            path=str(declared.get("HealthCheckPath") or DEFAULT_HEALTH_PATH),
            timeout_seconds=float(declared["HealthCheckTimeoutSeconds"]),
            unhealthy_after=int(declared["UnhealthyThresholdCount"]),
        )

    def _apply(self, service: DeclaredService, replicas: ReplicaSet) -> None:
        halted = service.deployment_failed
        try:
            secrets = resolve(self._aws, service.secrets)
        except SecretError as error:
            replicas.refuse(service.deployment, str(error), halted=halted)
            return
        fingerprint = f"{service.deployment} {_digest({**service.environment, **secrets})}"
        # Missing grants may have been added since, so a refused generation is checked again.
        if not replicas.complete and (reason := self._configuration_problems(service)):
            replicas.refuse(fingerprint, reason, halted=halted)
            return
        replicas.apply(self._spec(service, fingerprint, secrets), halted=halted)

    def _configuration_problems(self, service: DeclaredService) -> str:
        """Why the service must not start, as one line; empty when it may."""
        problems = []
        definition = service.task_definition
        if execution := definition.get("executionRoleArn"):
            problems += missing_grants(self._aws, execution, required_by_secrets(service.secrets))
        if task := definition.get("taskRoleArn"):
            problems += missing_grants(self._aws, task, required_by_variables(service.environment))
        declared = service.environment.get("PORT")
        if declared is not None and service.target_group and int(declared) != service.container_port:
            problems.append(
                f"variable PORT={declared} makes the container listen on a port other than {service.container_port}, "
                "to which the load balancer sends"
            )
        return "; ".join(problems)

    def _spec(self, service: DeclaredService, fingerprint: str, secrets: Mapping[str, str]) -> Spec:
        def environment(port: int) -> dict[str, str]:
            """Environment of the task that listens on `port`."""
            declared = {**service.environment, **secrets}
            # On AWS each task has an address of its own; here all share one, so each task gets a port of its own.
            own_port = {"PORT": str(port)} if declared.get("PORT") == str(service.container_port) else {}
            return {**base_environment(self._root), **self._aws.platform_variables(), **declared, **own_port}

        command = tuple(service.container.get("command") or ())
        return Spec(
            fingerprint=fingerprint,
            command=(sys.executable, *command[1:]) if command[:1] in (("python",), ("python3",)) else command,
            environment=environment,
            health=service.health,
            count=service.desired_count,
            grace_seconds=float(service.container.get("stopTimeout") or DEFAULT_STOP_SECONDS),
        )

    def _report(self, service: DeclaredService, replicas: ReplicaSet) -> None:
        """Tell ECS what the tasks of the deployment do, when that has changed."""
        report = {
            "Cluster": service.cluster,
            "Name": service.name,
            "Deployment": service.deployment,
            "RunningCount": replicas.running,
            "PendingCount": replicas.pending,
            "RunningBeforeCount": replicas.running_before,
            "FailedTasks": replicas.failures,
            "FailureReason": replicas.reason,
            "Complete": replicas.complete,
        }
        if self._reported.get(service.name) != report:
            settle(self._aws, "ecs", report)
            self._reported[service.name] = report

    def _register_targets(self, declared: Mapping[str, DeclaredService]) -> None:
        """Make the targets of each target group exactly the serving ports."""
        elb = self._aws.client("elbv2")
        for name, service in declared.items():
            if service.target_group is None:
                continue
            described = elb.describe_target_health(TargetGroupArn=service.target_group)["TargetHealthDescriptions"]
            registered = {(found["Target"]["Id"], int(found["Target"]["Port"])) for found in described}
            wanted = {(LOOPBACK, port) for port in self._sets[name].serving}
            if missing := wanted - registered:
                elb.register_targets(TargetGroupArn=service.target_group, Targets=_targets(missing))
            if surplus := registered - wanted:
                elb.deregister_targets(TargetGroupArn=service.target_group, Targets=_targets(surplus))


def _targets(addresses: set[tuple[str, int]]) -> list[dict[str, Any]]:
    return [{"Id": host, "Port": port} for host, port in sorted(addresses)]


def _short_name(name: str) -> str:
    return name.rpartition("/")[2]


def _digest(values: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
