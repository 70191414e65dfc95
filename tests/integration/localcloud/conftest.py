"""A local cloud of its own: the emulator, the runner and the rest, as `twin local-start` starts them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from localcloud import lifecycle
from localcloud.credentials import read_credentials
from localcloud.state import ProcessState, State

START_SECONDS = 60.0


@dataclass(frozen=True)
class Cloud:
    """A running local cloud and AWS clients for it."""

    root: Path

    def state(self) -> State:
        found = lifecycle.status(self.root)
        assert found is not None, (self.root / ".local" / "logs" / "supervisor.log").read_text()
        return found

    def client(self, service: str) -> Any:
        url = f"http://127.0.0.1:{self.state().ports['aws']}"
        arguments: Any = read_credentials(self.root).client_arguments()
        return boto3.client(service, endpoint_url=url, **arguments)

    def until(self, resource: str, good: Callable[[list[ProcessState]], bool], seconds: float = 40) -> Any:
        """The processes of a declared resource, once `good` accepts them."""
        deadline = time.monotonic() + seconds
        while True:
            found = [process for process in self.state().processes if process.resource.endswith(resource)]
            if good(found):
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.1)

    def failure(self, resource: str) -> str:
        """Why a declared resource cannot be started."""
        found = self.until(resource, lambda processes: any(p.reason for p in processes))
        return next(process.reason for process in found if process.reason)


@contextmanager
def running(root: Path) -> Iterator[Cloud]:
    """A local cloud in a folder, stopped at the end."""
    with pytest.MonkeyPatch.context() as patch:
        # The networks of a module's tests stand side by side, and the quota of VPCs is five.
        patch.setenv("LOCALCLOUD_AWS_RULES", "-vpcs")
        lifecycle.start(root, START_SECONDS)
    try:
        yield Cloud(root)
    finally:
        lifecycle.stop(root)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running(tmp_path_factory.mktemp("root")) as started:
        yield started
