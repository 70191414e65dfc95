"""Runs a program as a one-off ECS task of the ingest's own definition, in the service's network; follows its logs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from twin.target.clock import Clock
from twin.target.deployment import outputs
from twin.target.errors import TwinError
from twin.target.stage import Stage

POLL_SECONDS = 2.0
# Log lines reach CloudWatch a few seconds after they were written.
LAST_LINES_SECONDS = 20.0
STARTED_BY = "twin-ingest"


@dataclass(frozen=True)
class Ended:
    """How a task ended; no exit code means that its container never ran."""

    exit_code: int | None
    reason: str


@dataclass(frozen=True)
class _Logs:
    group: str
    stream: str


def run_task(
    stage: Stage, command: list[str], on_line: Callable[[str], None], *, poll_seconds: float = POLL_SECONDS
) -> Ended:
    """Run a command in the ingest's task definition, in the service's subnets and security groups; wait for it.

    Ctrl-C stops the task. When the connection to AWS is lost, the task goes on.

    Args:
        stage: a stage on AWS that is deployed.
        command: program and arguments.
        on_line: called with each line of the task's output, as it arrives.
        poll_seconds: pause between two looks.

    Raises:
        TwinError: the stage is not deployed or names no bucket of documents, or ECS did not start the task.
    """
    found = outputs(stage)
    definition = found.get("IngestTaskDefinitionArn")
    if definition is None:
        raise TwinError(
            f"Stage {stage.name} has no task that reads a bucket: set rag.documents_bucket to its name "
            "(TWIN_RAG__DOCUMENTS_BUCKET) and deploy."
        )
    ecs, cluster = stage.client("ecs"), found["ClusterName"]
    service = _service(ecs, cluster, found["ServiceName"])
    container = ecs.describe_task_definition(taskDefinition=definition)["taskDefinition"]["containerDefinitions"][0]
    logs, clock = stage.client("logs"), stage.clock
    task = _start(ecs, cluster, service, definition, container["name"], command)
    try:
        lines = _Lines(logs, _logs(container, task), on_line, clock)
        stopped = _followed(ecs, cluster, task, lines, lambda: clock.sleep(poll_seconds))
    except KeyboardInterrupt:
        ecs.stop_task(cluster=cluster, task=task, reason="interrupted by its caller")
        raise
    lines.read_rest(poll_seconds)
    ran: dict[str, Any] = next((found for found in stopped["containers"] if found["name"] == container["name"]), {})
    return Ended(ran.get("exitCode"), str(ran.get("reason") or stopped.get("stoppedReason") or "no reason given"))


def _service(ecs: Any, cluster: str, name: str) -> dict[str, Any]:
    described: list[dict[str, Any]] = ecs.describe_services(cluster=cluster, services=[name])["services"]
    if not described or described[0]["status"] != "ACTIVE":
        raise TwinError(f"Service {name} is not active: deploy the stage first.")
    return described[0]


def _start(ecs: Any, cluster: str, service: dict[str, Any], definition: str, container: str, command: list[str]) -> str:
    # What the service has been given in capacity and network, a task of it needs as well.
    placed = (
        {"capacityProviderStrategy": service["capacityProviderStrategy"]}
        if service.get("capacityProviderStrategy")
        else {"launchType": service.get("launchType") or "FARGATE"}
    )
    answer = ecs.run_task(
        cluster=cluster,
        taskDefinition=definition,
        count=1,
        startedBy=STARTED_BY,
        # A task bears its costs, and has no tags of its own otherwise.
        propagateTags="TASK_DEFINITION",
        enableECSManagedTags=True,
        networkConfiguration=service["networkConfiguration"],
        overrides={"containerOverrides": [{"name": container, "command": command}]},
        **placed,
    )
    if not answer["tasks"]:
        reasons = ", ".join(str(failure.get("reason")) for failure in answer.get("failures", ())) or "no reason given"
        raise TwinError(f"ECS did not start the task: {reasons}.")
    return str(answer["tasks"][0]["taskArn"])


def _logs(container: dict[str, Any], task: str) -> _Logs | None:
    """Where the awslogs driver writes: `<prefix>/<container>/<task id>`."""
    options = container.get("logConfiguration", {}).get("options", {})
    group, prefix = options.get("awslogs-group"), options.get("awslogs-stream-prefix")
    return _Logs(group, f"{prefix}/{container['name']}/{task.rpartition('/')[2]}") if group and prefix else None


def _followed(ecs: Any, cluster: str, task: str, lines: _Lines, pause: Callable[[], None]) -> dict[str, Any]:
    while True:
        described = ecs.describe_tasks(cluster=cluster, tasks=[task])["tasks"]
        if not described:
            raise TwinError("ECS does not know the task any more; look at the service's logs.")
        lines.read()
        if described[0]["lastStatus"] == "STOPPED":
            found: dict[str, Any] = described[0]
            return found
        pause()


class _Lines:
    """Hands over what is new in a log stream."""

    def __init__(self, client: Any, logs: _Logs | None, on_line: Callable[[str], None], clock: Clock) -> None:
        self._client = client
        self._logs = logs
        self._on_line = on_line
        self._clock = clock
        self._token: str | None = None

    def read(self) -> int:
        """Everything that has arrived since the last call; returns the number of lines."""
        count = 0
        for event in self._events():
            self._on_line(str(event["message"]))
            count += 1
        return count

    def read_rest(self, poll_seconds: float) -> None:
        """What still arrives after the task has stopped: until nothing more comes."""
        deadline = self._clock.deadline(LAST_LINES_SECONDS)
        quiet = 0
        while True:
            quiet = 0 if self.read() else quiet + 1
            if quiet == 3 or deadline.passed:
                return
            self._clock.sleep(poll_seconds)

    def _events(self) -> Iterator[dict[str, Any]]:
        while self._logs is not None:
            more = {"nextToken": self._token} if self._token else {}
            try:
                page = self._client.get_log_events(
                    logGroupName=self._logs.group, logStreamName=self._logs.stream, startFromHead=True, **more
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != "ResourceNotFoundException":
                    raise
                return  # the container has not said anything yet
            yield from page["events"]
            # The same token again says that this was the end, for now.
            if page["nextForwardToken"] == self._token:
                return
            self._token = page["nextForwardToken"]
