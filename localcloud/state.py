"""What runs now: `.local/state.json`, written by the supervisor, read by everybody else."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from localcloud.errors import LocalCloudError

VERSION = 1


@dataclass(frozen=True)
class ProcessState:
    """One process, or one declared resource that could not be started.

    Attributes:
        kind: platform, ecs, sagemaker or lambda.
        resource: what the template calls it.
        status: starting, healthy, unhealthy, failed or stopped.
        reason: why it failed, in a sentence.
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
    """The local cloud as a whole."""

    pid: int
    ports: dict[str, int]
    ready: bool = False
    processes: tuple[ProcessState, ...] = field(default_factory=tuple)


def state_path(root: Path) -> Path:
    """Where the state of the local cloud under `root` is kept."""
    return root / ".local" / "state.json"


def read_state(root: Path) -> State | None:
    """The state last written, or None.

    Raises:
        LocalCloudError: when the file is not a state.
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
    """Replace the state file at once, so that no reader sees half of it."""
    path = state_path(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps({"version": VERSION, **asdict(state)}, indent=1))
    scratch.replace(path)
