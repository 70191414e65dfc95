"""One local cloud for the whole story, in a folder of its own beside whatever else runs on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from localcloud.account import Credentials
from localcloud.credentials import read_credentials
from tests.program import TWIN

FOLDER = Path(__file__).parent
ROOT = FOLDER.resolve().parents[1]
# As long as a small model on a warm instance; the start of its container comes on top.
SLOW_TO_WAKE = {"LOCALCLOUD_TIME_FACTOR": "13"}
ONE_DEPLOYMENT = (
    "test_story.py",
    "test_parking.py",
    "test_faults.py",
    "test_drill.py",
    "test_jobs.py",
    "test_delete.py",
)
"""Modules that use the one deployment, in their order.

The story comes before the rest: it judges the answers of a fresh deployment, and the faults leave answers without
context behind, which the evaluation rightly marks down. The jobs of the workflows deploy anew, and the last module
deletes everything.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the modules of the deployment one worker, and put them first: together they take the longest."""
    places = {FOLDER / name: place for place, name in enumerate(ONE_DEPLOYMENT)}
    for item in items:
        if item.path in places:
            item.add_marker(pytest.mark.xdist_group("deployment"))
    items.sort(key=lambda item: places.get(item.path, len(places)))


@dataclass(frozen=True)
class Twin:
    """Runs the command line as a person's shell would."""

    state_root: Path

    def run(
        self, *arguments: str, timeout: float = 240, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [TWIN, *arguments],
            cwd=ROOT,
            env={**os.environ, **SLOW_TO_WAKE, "TWIN_STATE_ROOT": str(self.state_root), "CI": "1", **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def json(self, *arguments: str, timeout: float = 240, env: Mapping[str, str] | None = None) -> Any:
        done = self.run(*arguments, "--json", timeout=timeout, env=env)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.state_root / ".local" / "state.json").read_text())
        return found

    def client(self, service: str) -> Any:
        """A boto3 client of the local cloud."""
        url = f"http://127.0.0.1:{self.state()['ports']['aws']}"
        arguments: Any = self.credentials().client_arguments()
        return boto3.client(service, endpoint_url=url, **arguments)

    def credentials(self) -> Credentials:
        """The local cloud's key."""
        return read_credentials(self.state_root)

    def api_key(self) -> str:
        return (self.state_root / ".local" / "keys" / "local").read_text().strip()

    def process(self, kind: str, name: str = "") -> dict[str, Any]:
        """The healthy process of a kind (and name), as the state file has it; waits for it."""
        deadline = time.monotonic() + 60
        while True:
            for process in self.state()["processes"]:
                if process["kind"] == kind and process["status"] == "healthy" and name in process["name"]:
                    return dict(process)
            assert time.monotonic() < deadline, self.state()["processes"]
            time.sleep(0.2)


@pytest.fixture(scope="session")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    runner = Twin(tmp_path_factory.mktemp("cloud"))
    yield runner
    runner.run("local-stop")


@pytest.fixture(scope="session")
def started(twin: Twin) -> dict[str, Any]:
    found: dict[str, Any] = twin.json("local-start", timeout=290)
    return found
