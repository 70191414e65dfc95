"""State of a running local cloud: `.local/state.json`, written by the supervisor, read by every other program."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from localcloud.errors import LocalCloudError

VERSION = 1
"""Format of the file; a file with another one is refused."""


@dataclass(frozen=True)
class ProcessState:
    """One process, or one declared resource that could not be started.

    Attributes:
        name: unique within the local cloud.
        kind: `platform`, `ecs`, `sagemaker` or `lambda`.
        resource: the declared resource, e.g. `ECS service twin-local-rag`, or the module of a platform process.
        pid: process id, None without a process.
        port: port of the loopback address that it listens on.
        status: `starting`, `healthy`, `unhealthy` (tried again without end) or `failed` (only a new deployment or start
            helps).
        restarts: how often it was started again.
        log: path of its log file.
        reason: why it failed last, in a sentence; empty for what is healthy.
    """

    name: str
    kind: str
    resource: str
    pid: int | None = None
    port: int | None = None
    status: str = "starting"
    restarts: int = 0
    log: str = ""
    reason: str = ""


@dataclass(frozen=True)
class State:
    """The local cloud as a whole.

    Attributes:
        pid: process id of the supervisor.
        ports: port by name (`aws`, `opik`, `qdrant`, `sink`, `sagemaker_runtime`).
        ready: whether every platform process is up.
        processes: platform processes, then those of declared resources.
    """

    pid: int
    ports: dict[str, int]
    ready: bool = False
    processes: tuple[ProcessState, ...] = field(default_factory=tuple)


def state_path(root: Path) -> Path:
    """Path of the state file of the local cloud in `root`."""
    return root / ".local" / "state.json"


def read_state(root: Path) -> State | None:
    """State last written, or None when there is no file.

    Raises:
        LocalCloudError: the file is damaged or of another format version.
    """
    path = state_path(root)
    try:
        found: dict[str, Any] = json.loads(path.read_text())
        if found["version"] != VERSION:
            raise LocalCloudError(f"{path} was written by another version: run `make local-stop`, then start again.")
        processes = tuple(ProcessState(**process) for process in found["processes"])
        return State(int(found["pid"]), dict(found["ports"]), bool(found["ready"]), processes)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        raise LocalCloudError(
            f"{path} is not a state file any more: run `make local-stop`, then start again."
        ) from None


def write_state(root: Path, state: State) -> None:
    """Replace the state file atomically, so that no reader sees half of it."""
    path = state_path(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps({"version": VERSION, **asdict(state)}, indent=1))
    scratch.replace(path)
