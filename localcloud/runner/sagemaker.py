"""SageMaker endpoints: processes for their models, routes to these, and their status back to the control plane."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from localcloud.aws_time import QUIET_UNTIL_NO_COPIES, scales_in
from localcloud.ports import LOOPBACK
from localcloud.process import base_environment
from localcloud.runner.aws import Aws
from localcloud.runner.health import HealthCheck
from localcloud.runner.replicas import ReplicaSet, Spec
from localcloud.runner.settle import settle
from localcloud.runner.starts import StartTimes
from localcloud.sagemaker_runtime.routing import ComponentRoute, EndpointRoute, RoutingTable
from localcloud.state import ProcessState

CONTAINER = (sys.executable, "-m", "services.llm")
"""Program that runs in place of every model container."""
PING = HealthCheck("/ping", timeout_seconds=2.0)
"""2 s for each ping: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html."""
IN_PROGRESS = ("Creating", "Updating")
COPIES = "sagemaker:inference-component:DesiredCopyCount"


@dataclass(frozen=True)
class DeclaredUnit:
    """One thing that runs containers: an inference component, or a variant that names a model.

    Attributes:
        kind: `inference-component` or `endpoint`.
        name: name of the component or endpoint.
        endpoint: name of its endpoint.
        status: as described, e.g. `Creating` or `InService`.
        copies: wanted number of containers.
        environment: variables of the model's container.
    """

    kind: str
    name: str
    endpoint: str
    status: str
    copies: int
    environment: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        """Digest of the environment: another one replaces the running containers."""
        return hashlib.sha256(json.dumps(dict(self.environment), sort_keys=True).encode()).hexdigest()[:16]


class SageMakerRunner:
    """Keeps a replica set per declared unit, the routing table, and each unit's status in the control plane.

    Args:
        aws: clients of the emulator.
        root: folder whose `.local/logs` gets the logs.
        table: routing table of the SageMaker runtime.

    It does what alarms and scaling policies do on AWS, with their times (`localcloud/aws_time.py`): a component that
    was scaled to zero starts again after a call found it so, when a scalable target allows one copy, and one that is
    not called loses its copies, when the target allows none. A target whose scaling is suspended does neither. The
    containers of a component that had no copies start after the time of a wake (`starts.py`), also
    when the copies were set by hand: until then it is `Updating`, and answers nothing.

    Raises:
        LocalCloudError: a variable of these times is wrong.
    """

    def __init__(self, aws: Aws, root: Path, table: RoutingTable) -> None:
        self._aws = aws
        self._root = root
        self._table = table
        self._sets: dict[str, ReplicaSet] = {}
        self._routes: dict[str, EndpointRoute] = {}
        self._in_progress: set[str] = set()
        self._starts = StartTimes()
        self._quiet_seconds = QUIET_UNTIL_NO_COPIES.here() if scales_in() else None
        self._serving_since: dict[str, float] = {}
        table.on_no_capacity(self._starts.note_refusal)

    def tick(self) -> None:
        """Read all endpoints from the emulator, and update processes, routes and statuses accordingly.

        Raises:
            ClientError: the emulator refused a call, e.g. for an endpoint that was deleted meanwhile.
            BotoCoreError: the emulator does not answer.
            httpx.HTTPError: a status could not be reported.
        """
        endpoints = list(self._endpoints())
        units = {unit.name: unit for _, _, found in endpoints for unit in found}
        for name in [name for name in self._sets if name not in units]:
            self._sets.pop(name).stop()
        for unit in units.values():
            replicas = self._sets.setdefault(
                unit.name,
                ReplicaSet(
                    unit.name, "sagemaker", f"SageMaker {unit.kind} {unit.name}", self._root / ".local" / "logs"
                ),
            )
            self._starts.plan(unit.name, unit.endpoint, unit.copies, new=unit.status == "Creating")
            self._apply(unit, replicas)
            replicas.tick()
            if replicas.serving:
                self._starts.note_serving(unit.endpoint)
        self._starts.forget(units, (name for name, _, _ in endpoints))
        self._in_progress = {unit.name for unit in units.values() if unit.status in IN_PROGRESS}
        self._route(endpoints)
        for unit in units.values():
            self._report_result(unit, self._sets[unit.name])
        self._start_scaled_down(units)
        self._stop_quiet(units)

    def stop(self) -> None:
        """Stop every process."""
        for replicas in self._sets.values():
            replicas.stop()

    def states(self) -> list[ProcessState]:
        """State of every process, and of every unit that failed."""
        return [state for replicas in self._sets.values() for state in replicas.states()]

    def _endpoints(self) -> Iterator[tuple[str, str, list[DeclaredUnit]]]:
        client = self._aws.client("sagemaker")
        for summary in self._aws.pages("sagemaker", "list_endpoints", "Endpoints"):
            endpoint = client.describe_endpoint(EndpointName=summary["EndpointName"])
            config = client.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
            variant = config["ProductionVariants"][0]
            yield endpoint["EndpointName"], variant["VariantName"], self._units(endpoint, variant)

    def _units(self, endpoint: Mapping[str, Any], variant: Mapping[str, Any]) -> list[DeclaredUnit]:
        name = endpoint["EndpointName"]
        if variant.get("ModelName"):
            copies = int(variant.get("InitialInstanceCount", 1))
            environment = self._model_environment(variant["ModelName"])
            return [DeclaredUnit("endpoint", name, name, endpoint["EndpointStatus"], copies, environment)]
        summaries = self._aws.pages(
            "sagemaker", "list_inference_components", "InferenceComponents", EndpointNameEquals=name
        )
        return [self._component(summary["InferenceComponentName"]) for summary in summaries]

    def _component(self, name: str) -> DeclaredUnit:
        described = self._aws.client("sagemaker").describe_inference_component(InferenceComponentName=name)
        # No instance has a type here: the first of several is that of the first choice.
        specification = next(iter(described.get("Specifications", ())), described.get("Specification", {}))
        environment = (
            self._model_environment(specification["ModelName"])
            if specification.get("ModelName")
            else specification["Container"].get("Environment", {})
        )
        return DeclaredUnit(
            kind="inference-component",
            name=name,
            endpoint=described["EndpointName"],
            status=described["InferenceComponentStatus"],
            copies=int(described["RuntimeConfig"]["DesiredCopyCount"]),
            environment=environment,
        )

    def _model_environment(self, model: str) -> dict[str, str]:
        described = self._aws.client("sagemaker").describe_model(ModelName=model)
        container = described.get("PrimaryContainer") or described["Containers"][0]
        return dict(container.get("Environment", {}))

    def _apply(self, unit: DeclaredUnit, replicas: ReplicaSet) -> None:
        if unit.status in IN_PROGRESS and unit.name not in self._in_progress:
            # What failed before this deployment is not held against it.
            replicas.forget_failures()
        replicas.apply(self._spec(unit), halted=unit.status == "Failed")

    def _spec(self, unit: DeclaredUnit) -> Spec:
        def environment(port: int) -> dict[str, str]:
            """Environment of the container that listens on `port`."""
            platform = {**self._aws.platform_variables(), "SAGEMAKER_BIND_TO_PORT": str(port)}
            return {**base_environment(self._root), **unit.environment, **platform}

        copies = 0 if self._starts.is_pending(unit.name) else unit.copies
        return Spec(unit.fingerprint, CONTAINER, environment, PING, copies)

    def _route(self, endpoints: list[tuple[str, str, list[DeclaredUnit]]]) -> None:
        routes = {}
        for name, variant, units in endpoints:
            direct = tuple(url for unit in units if unit.kind == "endpoint" for url in self._urls(unit))
            components = {unit.name: self._component_route(unit) for unit in units if unit.kind != "endpoint"}
            routes[name] = EndpointRoute(name, variant, direct, components)
        for name in [name for name in self._routes if name not in routes]:
            self._table.remove_endpoint(name)
        for name, route in routes.items():
            if self._routes.get(name) != route:
                self._table.set_endpoint(route)
        self._routes = routes

    def _component_route(self, unit: DeclaredUnit) -> ComponentRoute:
        urls = self._urls(unit)
        return ComponentRoute(unit.name, urls, unit.copies, waking=unit.copies > 0 and not urls)

    def _urls(self, unit: DeclaredUnit) -> tuple[str, ...]:
        return tuple(f"http://{LOOPBACK}:{port}" for port in self._sets[unit.name].serving)

    def _report_result(self, unit: DeclaredUnit, replicas: ReplicaSet) -> None:
        if unit.status not in IN_PROGRESS or self._starts.is_pending(unit.name):
            return
        if replicas.complete:
            self._report(unit, "InService", "", unit.copies)
        elif replicas.deployment_failed:
            self._report(unit, "Failed", replicas.reason, len(replicas.serving))

    def _report(self, unit: DeclaredUnit, status: str, reason: str, copies: int) -> None:
        report = {
            "Kind": unit.kind,
            "Name": unit.name,
            "Status": status,
            "FailureReason": reason,
            "CurrentCopyCount": copies,
        }
        settle(self._aws, "sagemaker", report)

    def _start_scaled_down(self, units: Mapping[str, DeclaredUnit]) -> None:
        for name in self._starts.alarmed():
            unit = units.get(name)
            if unit is not None and unit.copies == 0 and self._may_start(name):
                self._set_copies(name, 1)

    def _stop_quiet(self, units: Mapping[str, DeclaredUnit]) -> None:
        serving = [unit for unit in units.values() if unit.kind != "endpoint" and self._sets[unit.name].serving]
        now = time.monotonic()
        self._serving_since = {unit.name: self._serving_since.get(unit.name, now) for unit in serving}
        if self._quiet_seconds is None:
            return
        for unit in serving:
            called = max(self._serving_since[unit.name], self._table.called_at(unit.name) or 0.0)
            if now - called > self._quiet_seconds and unit.status == "InService" and self._least_copies(unit.name) == 0:
                self._set_copies(unit.name, 0)

    def _set_copies(self, component: str, copies: int) -> None:
        self._aws.client("sagemaker").update_inference_component_runtime_config(
            InferenceComponentName=component, DesiredRuntimeConfig={"CopyCount": copies}
        )

    def _may_start(self, component: str) -> bool:
        targets = self._scalable_targets(component, "DynamicScalingOutSuspended")
        return any(int(target["MaxCapacity"]) >= 1 for target in targets)

    def _least_copies(self, component: str) -> int | None:
        """Copies that scaling leaves at least; None for a component that does not scale."""
        targets = self._scalable_targets(component, "DynamicScalingInSuspended")
        return min((int(target["MinCapacity"]) for target in targets), default=None)

    def _scalable_targets(self, component: str, suspension: str) -> list[Mapping[str, Any]]:
        """Targets that scale the component now: those without the named suspension."""
        client = self._aws.client("application-autoscaling")
        where = {"ServiceNamespace": "sagemaker", "ResourceIds": [f"inference-component/{component}"]}
        try:
            found = client.describe_scalable_targets(ScalableDimension=COPIES, **where)["ScalableTargets"]
        except ClientError:
            return []
        return [target for target in found if not target["SuspendedState"][suspension]]
