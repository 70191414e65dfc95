"""A replica set over real processes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from localcloud.process import base_environment
from localcloud.runner.replicas import ReplicaSet, Spec

SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path in ("/healthz", "/who") else 404); self.end_headers()
        self.wfile.write(os.environ["WHO"].encode())
    def log_message(self, *args): pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
FAILING = "import sys; print('Configuration error: environment variable X is not set'); print('bye'); sys.exit(78)"


def spec(root: Path, who: str, count: int = 1, code: str = SERVER) -> Spec:
    def environment(port: int) -> dict[str, str]:
        return {**base_environment(root), "PORT": str(port), "WHO": who}

    return Spec(who, (sys.executable, "-c", code), environment, "/healthz", count, grace_seconds=2)


@pytest.fixture
def replicas(tmp_path: Path) -> Iterator[ReplicaSet]:
    made = ReplicaSet("api", "ecs", "ECS service api", tmp_path / "logs")
    yield made
    made.stop()


def until(replicas: ReplicaSet, condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        replicas.tick()
        assert time.monotonic() < deadline, replicas.states()
        time.sleep(0.05)


def who(port: int) -> str:
    return httpx.get(f"http://127.0.0.1:{port}/who", trust_env=False).text


def test_the_wanted_number_runs_and_serves(replicas: ReplicaSet, tmp_path: Path) -> None:
    replicas.apply(spec(tmp_path, "one", count=2))
    until(replicas, lambda: replicas.complete)
    assert {who(port) for port in replicas.serving} == {"one"}
    assert len(set(replicas.serving)) == 2
    replicas.apply(spec(tmp_path, "one", count=1))
    until(replicas, lambda: len(replicas.serving) == 1 and len(replicas.states()) == 1)


def test_a_new_generation_replaces_the_old_without_a_gap(replicas: ReplicaSet, tmp_path: Path) -> None:
    replicas.apply(spec(tmp_path, "one"))
    until(replicas, lambda: replicas.complete)
    replicas.apply(spec(tmp_path, "two"))
    seen = []
    deadline = time.monotonic() + 15
    while not seen or seen[-1] != "two":
        replicas.tick()
        seen.append(who(replicas.serving[0]))
        assert time.monotonic() < deadline
    assert sorted(set(seen)) == ["one", "two"]


def test_a_killed_process_is_started_again(replicas: ReplicaSet, tmp_path: Path) -> None:
    replicas.apply(spec(tmp_path, "one"))
    until(replicas, lambda: replicas.complete)
    first = replicas.states()[0].pid
    assert first is not None
    os.kill(first, 9)
    until(replicas, lambda: not replicas.serving)
    until(replicas, lambda: replicas.complete)
    assert replicas.states()[0].pid != first
    assert replicas.restarts == 1


def test_a_configuration_error_ends_at_once_and_the_old_generation_goes_on(
    replicas: ReplicaSet, tmp_path: Path
) -> None:
    replicas.apply(spec(tmp_path, "one"))
    until(replicas, lambda: replicas.complete)
    replicas.apply(spec(tmp_path, "bad", code=FAILING))
    until(replicas, lambda: bool(replicas.failed))
    assert replicas.failed.endswith("Configuration error: environment variable X is not set")
    assert who(replicas.serving[0]) == "one"
    assert [s.reason for s in replicas.states() if s.status == "failed"] == [replicas.failed]


def test_stop_leaves_no_process(replicas: ReplicaSet, tmp_path: Path) -> None:
    replicas.apply(spec(tmp_path, "one", count=2))
    until(replicas, lambda: replicas.complete)
    pids = [state.pid for state in replicas.states()]
    replicas.stop()
    assert [pid for pid in pids if pid and psutil.pid_exists(pid)] == []


def test_nothing_of_the_developers_environment_leaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "mine")
    assert "AWS_PROFILE" not in base_environment(tmp_path)
