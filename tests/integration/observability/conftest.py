"""A real Prometheus with the shipped configuration, over a running RAG service."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from localcloud.ports import free_port
from tests.integration.rag.conftest import World, corpus, eventually, running, world
from tests.integration.rag.fakes import KEY
from tests.programs import PROMETHEUS, PROMTOOL, path_of

__all__ = ["corpus", "running", "world"]

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ROOT / "observability" / "prometheus"
GRAFANA = ROOT / "observability" / "grafana" / "llm-twin.json"
# Short, and long enough for a busy machine: a scrape may take as long as the interval.
INTERVAL = "2s"
KEY_FILE = "llm-twin.key"


@dataclass
class Prometheus:
    """A client of a running Prometheus, and the file that holds Prometheus' key of the service."""

    client: httpx.Client
    key: Path

    def get(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its API."""
        answer = self.client.get(f"/api/v1/{path}", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def query(self, expression: str) -> list[float]:
        """The values of an instant query."""
        return [float(series["value"][1]) for series in self.get("query", query=expression)["result"]]

    def firing(self) -> set[str]:
        """Names of the alerts that fire now."""
        return {alert["labels"]["alertname"] for alert in self.get("alerts")["alerts"] if alert["state"] == "firing"}

    def rules(self) -> dict[str, Any]:
        """The rules by name, with their health."""
        return {rule["name"]: rule for group in self.get("rules")["groups"] for rule in group["rules"]}


def configure(folder: Path, target: str) -> Path:
    """The shipped files in `folder`, for another target, scraped often, whose alerts wait for nothing.

    promtool tests the waiting itself, in simulated time.
    """
    config = (SHIPPED / "prometheus.yml").read_text(encoding="utf-8")
    config, targets = re.subn(r'(?<=targets: \[")127\.0\.0\.1:8000(?="\])', target, config)
    config, intervals = re.subn(r"(?<=_interval: )\S+", INTERVAL, config)
    assert (targets, intervals) == (1, 2)
    rules, waits = re.subn(r"(?m)^(\s+for: )\S+$", r"\g<1>0s", (SHIPPED / "alerts.yml").read_text(encoding="utf-8"))
    assert waits > 5
    (folder / "prometheus.yml").write_text(config, encoding="utf-8")
    (folder / "alerts.yml").write_text(rules, encoding="utf-8")
    (folder / KEY_FILE).write_text(KEY, encoding="utf-8")
    return folder / "prometheus.yml"


@pytest.fixture(scope="session")
def promtool(pytestconfig: pytest.Config) -> str:
    """Path of Prometheus' own checker."""
    return path_of(PROMTOOL, pytestconfig)


@pytest.fixture(scope="session")
def prometheus_path(pytestconfig: pytest.Config) -> str:
    return path_of(PROMETHEUS, pytestconfig)


@pytest.fixture(scope="module")
def prometheus(prometheus_path: str, running: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A running Prometheus that has scraped the service once."""
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    config = configure(folder, running.url.removeprefix("http://"))
    command = [
        prometheus_path,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False) as client:
            deadline = time.monotonic() + 30
            while not _is_ready(client):
                assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.1)
            started = Prometheus(client, folder / KEY_FILE)
            eventually(lambda: started.query('up{job="llm-twin"} == 1'))
            yield started
    finally:
        process.terminate()
        process.wait(20)


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False
