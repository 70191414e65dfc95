"""ECS services: task definition to processes, processes to load balancer targets."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.ports import LOOPBACK
from localcloud.process import base_environment
from localcloud.runner.aws import Aws
from localcloud.runner.grants import missing_grants, secret_needs, variable_needs
from localcloud.runner.health import HealthCheck
from localcloud.runner.replicas import ReplicaSet, Spec
from localcloud.runner.secrets import SecretError, resolve
from localcloud.state import ProcessState

DEFAULT_HEALTH_PATH = "/"


@dataclass(frozen=True)
class DeclaredService:
    """An ECS service with its task definition's container."""

    name: str
    desired_count: int
    task_definition: Mapping[str, Any]
    container: Mapping[str, Any]
    target_group: str | None
    container_port: int
    health: HealthCheck

    @property
    def environment(self) -> dict[str, str]:
        return {pair["name"]: str(pair["value"]) for pair in self.container.get("environment", ())}

    @property
    def secrets(self) -> dict[str, str]:
        return {pair["name"]: pair["valueFrom"] for pair in self.container.get("secrets", ())}


class EcsRunner:
    """Keeps a replica set per ECS service, and the target groups in step with it."""

    def __init__(self, aws: Aws, root: Path) -> None:
        self._aws = aws
        self._root = root
        self._sets: dict[str, ReplicaSet] = {}

    def tick(self) -> None:
        """Read the services back and reconcile."""
        declared = {service.name: service for service in self._declared()}
        for name in [name for name in self._sets if name not in declared]:
            self._sets.pop(name).stop()
        for service in declared.values():
            replicas = self._sets.setdefault(
                service.name,
                ReplicaSet(_short(service.name), "ecs", f"ECS service {service.name}", self._root / ".local" / "logs"),
            )
            self._apply(service, replicas)
            replicas.tick()
        self._register(declared)

    def stop(self) -> None:
        """End every process."""
        for replicas in self._sets.values():
            replicas.stop()

    def states(self) -> list[ProcessState]:
        """Every process."""
        return [state for replicas in self._sets.values() for state in replicas.states()]

    def _declared(self) -> list[DeclaredService]:
        ecs = self._aws.client("ecs")
        found = []
        for cluster in self._aws.pages("ecs", "list_clusters", "clusterArns"):
            arns = self._aws.pages("ecs", "list_services", "serviceArns", cluster=cluster)
            for start in range(0, len(arns), 10):
                described = ecs.describe_services(cluster=cluster, services=arns[start : start + 10])["services"]
                found += [self._service(item) for item in described if item["status"] == "ACTIVE"]
        return found

    def _service(self, item: Mapping[str, Any]) -> DeclaredService:
        described = self._aws.client("ecs").describe_task_definition(taskDefinition=item["taskDefinition"])
        definition = described["taskDefinition"]
        balanced = (item.get("loadBalancers") or [{}])[0]
        containers = definition["containerDefinitions"]
        container = next((c for c in containers if c["name"] == balanced.get("containerName")), containers[0])
        group = balanced.get("targetGroupArn")
        return DeclaredService(
            name=item["serviceName"],
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
        arn = str(service.task_definition["taskDefinitionArn"])
        try:
            secrets = resolve(self._aws, service.secrets)
        except SecretError as error:
            replicas.give_up(arn, str(error))
            return
        fingerprint = f"{arn} {_digest({**service.environment, **secrets})}"
        # Grants that were missing may be there now, so a refused generation is looked at again.
        if not replicas.complete and (reason := self._refusal(service)):
            replicas.give_up(fingerprint, reason)
            return
        replicas.apply(self._spec(service, fingerprint, secrets))

    def _refusal(self, service: DeclaredService) -> str:
        problems = []
        definition = service.task_definition
        if execution := definition.get("executionRoleArn"):
            problems += missing_grants(self._aws, execution, secret_needs(service.secrets))
        if task := definition.get("taskRoleArn"):
            problems += missing_grants(self._aws, task, variable_needs(service.environment))
        declared = service.environment.get("PORT")
        if declared is not None and service.target_group and int(declared) != service.container_port:
            problems.append(
                f"variable PORT={declared} makes the container listen on a port other than {service.container_port}, "
                "to which the load balancer sends"
            )
        return "; ".join(problems)

    def _spec(self, service: DeclaredService, fingerprint: str, secrets: Mapping[str, str]) -> Spec:
        def environment(port: int) -> dict[str, str]:
            declared = {**service.environment, **secrets}
            # Each task has an address of its own on AWS; here tasks share one, so the platform moves the port.
            own_port = {"PORT": str(port)} if declared.get("PORT") == str(service.container_port) else {}
            return {**base_environment(self._root), **self._aws.platform_variables(), **declared, **own_port}

        command = tuple(service.container.get("command") or ())
        return Spec(
            fingerprint=fingerprint,
            command=(sys.executable, *command[1:]) if command[:1] in (("python",), ("python3",)) else command,
            environment=environment,
            health=service.health,
            count=service.desired_count,
            grace_seconds=float(service.container.get("stopTimeout") or 30),
        )

    def _register(self, declared: Mapping[str, DeclaredService]) -> None:
        """Make each target group hold the serving ports, whatever the emulator has done to it meanwhile."""
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


def _short(name: str) -> str:
    return name.rpartition("/")[2]


def _digest(values: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
