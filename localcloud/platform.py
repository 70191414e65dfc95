"""Platform processes of the local cloud: emulator, Opik collector, Qdrant server, webhook sink."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from localcloud import aws_time
from localcloud.attempts import Attempts
from localcloud.credentials import read_credentials
from localcloud.errors import LocalCloudError
from localcloud.ports import LOOPBACK, is_taken
from localcloud.process import Child, answers, base_environment, restart_delay
from localcloud.state import ProcessState
from localcloud.store_keys import make_store_keys

START_SECONDS = 45.0
STOP_SECONDS = 3.0
POLL_SECONDS = 0.1
PASSED_ON = (
    "LOCALCLOUD_STABILISE_SECONDS",
    "LOCALCLOUD_AWS_RULES",
    "LOCALCLOUD_ENDPOINT_INSTANCES",
    *aws_time.VARIABLES,
)
"""Variables of the user's that the emulator reads, in `settling.py`, `rules` and `aws_time.py`."""


@dataclass(frozen=True)
class Part:
    """One platform process.

    Attributes:
        port_name: its key in `State.ports`.
        module: what `python -m` runs.
        health_path: path whose 2xx answer means that it is ready.
        durable: whether it keeps its data in files, so that it may be restarted after a crash.
        signed: whether callers sign with the local cloud's key.
    """

    port_name: str
    module: str
    health_path: str
    durable: bool = True
    signed: bool = False


PARTS = (
    Part("aws", "localcloud.emulator", "/_ministack/health", durable=False, signed=True),
    Part("opik", "localcloud.opik", "/api/is-alive/ping"),
    Part("qdrant", "localcloud.qdrant", "/readyz"),
    Part("sink", "localcloud.sink", "/healthz"),
)


class Platform:
    """Starts the platform processes, and restarts durable ones after a crash.

    The emulator keeps deployed resources in memory, so it is not restarted: its state is `failed`, with the reason.
    """

    def __init__(self, root: Path, ports: Mapping[str, int]) -> None:
        self._root = root
        self._ports = ports
        self._children: dict[str, Child] = {}
        self._store_keys = make_store_keys(root)
        self._attempts = Attempts()
        self._restarts = dict.fromkeys(ports, 0)
        self._next_start = dict.fromkeys(ports, 0.0)

    def start(self) -> None:
        """Start all parts and wait up to `START_SECONDS` until each is ready.

        Raises:
            LocalCloudError: a port is taken, or a part did not get ready; names the part and its last log line.
        """
        for part in PARTS:
            if is_taken(port := self._ports[part.port_name]):
                raise LocalCloudError(f"{part.module} cannot listen on port {port}: it is in use by another program.")
        for part in PARTS:
            self._children[part.port_name] = self._spawn(part)
        deadline = time.monotonic() + START_SECONDS
        for part in PARTS:
            child = self._children[part.port_name]
            while not answers(self.url(part.port_name) + part.health_path):
                if child.exit_code() is not None or time.monotonic() > deadline:
                    raise LocalCloudError(
                        f"{part.module} did not get ready: {child.last_log_line()} (log: {child.log})"
                    )
                time.sleep(POLL_SECONDS)

    def url(self, port_name: str) -> str:
        """Base URL of a part."""
        return f"http://{LOOPBACK}:{self._ports[port_name]}"

    def tick(self) -> None:
        """Restart durable parts that ended, each with a growing delay; a restart that fails is tried again."""
        now = time.monotonic()
        for part in PARTS:
            name = part.port_name
            child = self._children.get(name)
            if child is None or child.exit_code() is None or not part.durable or now < self._next_start[name]:
                continue
            child.kill()
            self._restarts[name] += 1
            self._next_start[name] = now + restart_delay(self._restarts[name])
            self._attempts.make(f"The start of {part.module}", partial(self._restart, part))

    def stop(self) -> None:
        """Stop every part; those that do not end within `STOP_SECONDS` are killed."""
        for child in self._children.values():
            child.terminate()
        for child in self._children.values():
            child.stop(STOP_SECONDS)

    def states(self) -> list[ProcessState]:
        """State of each part that was started: `healthy`, `unhealthy` until its restart, or `failed`."""
        return [self._state(part) for part in PARTS if part.port_name in self._children]

    def _restart(self, part: Part) -> None:
        self._children[part.port_name] = self._spawn(part)

    def _spawn(self, part: Part) -> Child:
        data = self._root / ".local" / "data" / part.port_name
        where = ("--host", LOOPBACK, "--port", str(self._ports[part.port_name]), "--data", str(data))
        environment = {
            **base_environment(self._root),
            "LOCALCLOUD_CONTAINERS": "external",
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": self.url("sagemaker_runtime"),
            **(read_credentials(self._root).server_variables() if part.signed else {}),
        }
        if part.port_name == "qdrant":
            environment |= self._store_keys.environment
        environment |= {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        log = self._root / ".local" / "logs" / f"platform-{part.port_name}.log"
        return Child([sys.executable, "-m", part.module, *where], environment, log)

    def _state(self, part: Part) -> ProcessState:
        child = self._children[part.port_name]
        dead = child.exit_code() is not None
        status = "unhealthy" if part.durable else "failed"
        return ProcessState(
            name=part.port_name,
            kind="platform",
            resource=part.module,
            pid=child.pid,
            port=self._ports[part.port_name],
            status=status if dead else "healthy",
            restarts=self._restarts[part.port_name],
            log=str(child.log),
            reason=child.last_log_line() if dead else "",
        )
