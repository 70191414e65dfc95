"""Writes that fail, as on a full disk: nothing ends that does not have to, and all goes on when there is room again.

The limit of the size of a file stands for the disk: under a limit of 0 every write to a file is refused by the kernel.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psutil
import pytest

from localcloud.state import ProcessState, read_state, state_path
from localcloud.store_keys import store_keys
from tests.integration.localcloud.conftest import Cloud

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process that runs")


@contextmanager
def no_room(*pids: int | None) -> Iterator[None]:
    """Refuse every write to a file by these processes, and by those that they start."""
    for pid in pids:
        _, most = psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE)
        psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (0, most))
    try:
        yield
    finally:
        for pid in pids:
            psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def platform(cloud: Cloud) -> dict[str, ProcessState]:
    return {process.name: process for process in cloud.state().processes if process.kind == "platform"}


def until(good: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not good():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_supervisor_survives_and_restarts_what_died_when_there_is_room_again(cloud: Cloud) -> None:
    before, supervisor = platform(cloud), cloud.state().pid
    written = state_path(cloud.root).read_text()
    with no_room(supervisor):
        for name in ("sink", "qdrant"):
            os.kill(before[name].pid or 0, signal.SIGKILL)
        # The sink rewrites its file when it starts, so it ends again and again.
        until(lambda: not psutil.pid_exists(before["sink"].pid or 0))
        time.sleep(5)
        assert psutil.Process(supervisor).status() != psutil.STATUS_ZOMBIE
        assert state_path(cloud.root).read_text() == written, "the last whole state stays"
        assert read_state(cloud.root) is not None
    for name in ("sink", "qdrant"):
        until(lambda name=name: (p := platform(cloud)[name]).restarts > 0 and p.status == "healthy")
    ports = cloud.state().ports
    until(lambda: all(_answers(f"http://127.0.0.1:{ports[name]}{path}") for name, path in HEALTH.items()))
    after = platform(cloud)
    assert cloud.state().pid == supervisor
    assert {name for name in after if after[name].pid == before[name].pid} == {"aws", "opik"}
    log = (cloud.root / ".local" / "logs" / "supervisor.log").read_text()
    assert log.count(f"Writing {state_path(cloud.root)} succeeds again. It had failed: [Errno 27]") == 1
    assert "Traceback" not in log


HEALTH = {"sink": "/healthz", "qdrant": "/readyz"}


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=5).is_success
    except httpx.HTTPError:
        return False


TRACE = {"id": "0193b0a1-0000-7000-8000-000000000001", "name": "one", "start_time": "2026-01-01T00:00:00Z"}
COLLECTION = {"vectors": {"size": 2, "distance": "Cosine"}}
WRITES: dict[str, tuple[str, str, Any]] = {
    "sink": ("POST", "/slack/alerts", {"text": "hello"}),
    "opik": ("POST", "/api/v1/private/traces/batch", {"traces": [TRACE]}),
    "qdrant": ("PUT", "/collections/full", COLLECTION),
}


@pytest.mark.parametrize("server", WRITES)
def test_a_server_that_cannot_write_answers_an_error_and_goes_on(cloud: Cloud, server: str) -> None:
    process = platform(cloud)[server]
    method, path, body = WRITES[server]
    headers = {**JSON, **({"api-key": store_keys(cloud.root).write} if server == "qdrant" else {})}

    def write() -> int:
        url = f"http://127.0.0.1:{process.port}{path}"
        return httpx.request(
            method, url, content=json.dumps(body), headers=headers, trust_env=False, timeout=30
        ).status_code

    with no_room(process.pid):
        assert write() >= 500
        assert write() >= 500
    assert write() < 300
    assert psutil.pid_exists(process.pid or 0)
    assert platform(cloud)[server].pid == process.pid


JSON = {"Content-Type": "application/json"}


def test_the_emulator_goes_on_in_memory(cloud: Cloud) -> None:
    process = platform(cloud)["aws"]
    with no_room(process.pid):
        url = cloud.client("sqs").create_queue(QueueName="full")["QueueUrl"]
        cloud.client("sqs").send_message(QueueUrl=url, MessageBody="hello")
    assert cloud.client("sqs").receive_message(QueueUrl=url)["Messages"][0]["Body"] == "hello"
    assert platform(cloud)["aws"].pid == process.pid
