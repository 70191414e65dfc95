"""The collector as a process, and the unmodified SDK against it.

With OPIK_CONTRACT_URL (and OPIK_CONTRACT_API_KEY, OPIK_CONTRACT_WORKSPACE) the SDK tests run against any real Opik. The
names differ from the SDK's variables, so that a developer's own workspace is not used by accident.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from localcloud.ports import free_port
from localcloud.process import answers
from tests.worker_groups import share_worker

ROOT = Path(__file__).resolve().parents[3]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    share_worker(items, Path(__file__).parent)


@dataclass
class Collector:
    """One collector process over one folder."""

    data: Path
    options: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        where = ("--port", str(self.port), "--data", str(self.data), *self.options)
        self.process = subprocess.Popen([sys.executable, "-m", "localcloud.opik", *where], cwd=ROOT)
        deadline = time.monotonic() + 20
        while not answers(f"{self.url}/api/is-alive/ping"):
            assert self.process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def stop(self, *, kill: bool = False) -> None:
        if self.process is not None:
            self.process.kill() if kill else self.process.terminate()
            self.process.wait(10)


@pytest.fixture(scope="session")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    made = Collector(tmp_path_factory.mktemp("opik"))
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def opik_url(collector: Collector) -> str:
    return os.environ.get("OPIK_CONTRACT_URL", f"{collector.url}/api")


@pytest.fixture(scope="session")
def client(opik_url: str) -> Iterator[Any]:
    patch = pytest.MonkeyPatch()
    quiet = {"OPIK_SENTRY_ENABLE": "false", "OPIK_ANALYTICS_ENABLE": "false", "OPIK_DEFAULT_FLUSH_TIMEOUT": "5"}
    key, workspace = os.environ.get("OPIK_CONTRACT_API_KEY"), os.environ.get("OPIK_CONTRACT_WORKSPACE", "default")
    known = {"OPIK_URL_OVERRIDE": opik_url, "OPIK_WORKSPACE": workspace, **({"OPIK_API_KEY": key} if key else {})}
    # `evaluate` uses the SDK's own global client, which reads the environment.
    for name, value in {**quiet, **known}.items():
        patch.setenv(name, value)
    if not key:
        patch.delenv("OPIK_API_KEY", raising=False)
    import opik

    made = opik.Opik(
        host=opik_url,
        project_name=f"contract-{uuid.uuid4().hex[:8]}",
        api_key=key,
        workspace=workspace,
    )
    yield made
    made.end(timeout=5)
    patch.undo()
