"""Evidence of a failed resource's containers: reasons of stopped tasks, and the tail of their log.

Collected as soon as the failure shows: the rollback deletes log groups and tasks with the rest of the stack.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from infra.names import Names
from localcloud import lifecycle
from localcloud.errors import LocalCloudError
from twin.target.cloudformation import CloudFormation
from twin.target.paths import STATE_ROOT
from twin.target.stage import Stage

LINES = 15
STREAMS = 2
TASKS = 3
LOG_BYTES = 16_384
TIMEOUTS = {"connect_timeout": 5, "read_timeout": 10, "retries": {"max_attempts": 2, "mode": "standard"}}
LOCAL_KINDS = {"AWS::ECS::Service": "ecs"}


@dataclass(frozen=True)
class Evidence:
    """Evidence of one container, or of one kind of container.

    Attributes:
        source: the log group or file.
        reasons: why its tasks were stopped, as the platform says.
        lines: the last lines of its log, oldest first.
    """

    source: str
    reasons: tuple[str, ...]
    lines: tuple[str, ...]


def collect(stage: Stage, resource_type: str, stack: str, logical_id: str) -> list[Evidence]:
    """Evidence for one failed resource; empty for resources without containers, and when none can be read.

    Raises:
        botocore's BotoCoreError and ClientError, when AWS refuses or cannot be reached.
    """
    if not (resource_type.startswith("AWS::SageMaker::") or resource_type in LOCAL_KINDS):
        return []
    if stage.is_local:
        return local_containers(LOCAL_KINDS.get(resource_type, "sagemaker"))
    if resource_type in LOCAL_KINDS:
        return _service(stage, CloudFormation(stage, **TIMEOUTS).physical_id(stack, logical_id))
    return list(_endpoint(stage))


def local_containers(kind: str | None = None) -> list[Evidence]:
    """Evidence of the containers of the local cloud that have failed, of all kinds or of one.

    When the rollback of one kind has already replaced what failed, the tails of that kind's logs.
    """
    try:
        state = lifecycle.status(STATE_ROOT)
    except LocalCloudError:
        return []
    failed = [p for p in (state.processes if state else ()) if p.reason and kind in (None, p.kind)]
    found = {p.log: Evidence(_shown(p.log), (p.reason,), _file_tail(Path(p.log))) for p in failed}
    if not found and kind is not None:
        logs = sorted((STATE_ROOT / ".local" / "logs").glob(f"{kind}-*.log"))
        return [Evidence(_shown(str(log)), (), _file_tail(log)) for log in logs]
    return list(found.values())


def of_service(stage: Stage, cluster: str, service: str) -> list[Evidence]:
    """Evidence of an ECS service: its stopped tasks and its log groups."""
    ecs, logs = stage.client("ecs", **TIMEOUTS), stage.client("logs", **TIMEOUTS)
    described = ecs.describe_services(cluster=cluster, services=[service])["services"]
    if not described:
        return []
    reasons = tuple(dict.fromkeys(_stop_reasons(ecs, cluster, service)))
    definition = ecs.describe_task_definition(taskDefinition=described[0]["taskDefinition"])["taskDefinition"]
    options = [c.get("logConfiguration", {}).get("options", {}) for c in definition["containerDefinitions"]]
    groups = [option["awslogs-group"] for option in options if "awslogs-group" in option]
    return [Evidence(group, reasons, tail(logs, group)) for group in groups] or [Evidence(service, reasons, ())]


def tail(logs: Any, group: str, lines: int = LINES) -> tuple[str, ...]:
    """The last lines of a log group's newest streams, oldest first; none for a group that does not exist."""
    try:
        streams = logs.describe_log_streams(logGroupName=group, orderBy="LastEventTime", descending=True, limit=STREAMS)
        events = [
            event
            for stream in streams["logStreams"]
            for event in logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], limit=lines, startFromHead=False
            )["events"]
        ]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return ()
    events.sort(key=lambda event: int(event["timestamp"]))
    return tuple(str(event["message"]).rstrip() for event in events[-lines:])


def _endpoint(stage: Stage) -> Iterator[Evidence]:
    logs, names = stage.client("logs", **TIMEOUTS), Names(stage.prefix)
    for resource in (f"InferenceComponents/{names.inference_component}", f"Endpoints/{names.endpoint}"):
        group = f"/aws/sagemaker/{resource}"
        if lines := tail(logs, group):
            yield Evidence(group, (), lines)


def _service(stage: Stage, arn: str) -> list[Evidence]:
    # arn:aws:ecs:region:account:service/cluster/name
    parts = arn.rsplit(":", 1)[-1].split("/")
    return of_service(stage, parts[1], parts[2]) if len(parts) == 3 else []


def _stop_reasons(ecs: Any, cluster: str, service: str) -> Iterator[str]:
    tasks = ecs.list_tasks(cluster=cluster, serviceName=service, desiredStatus="STOPPED", maxResults=TASKS)["taskArns"]
    if not tasks:
        return
    for task in ecs.describe_tasks(cluster=cluster, tasks=tasks)["tasks"]:
        if task.get("stoppedReason"):
            yield str(task["stoppedReason"])
        for container in task.get("containers", ()):
            if container.get("reason"):
                yield str(container["reason"])
            if container.get("exitCode"):
                yield f"container {container['name']} exited with code {container['exitCode']}"


def _shown(path: str) -> str:
    return path.removeprefix(f"{STATE_ROOT}/")


def _file_tail(path: Path) -> tuple[str, ...]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ()
    return tuple(line for line in text.splitlines() if line.strip())[-LINES:]
