"""A replica set over real processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from localcloud.process import base_environment
from localcloud.runner import replicas as replica_sets
from localcloud.runner.health import HealthCheck
from localcloud.runner.replicas import ReplicaSet, Spec
from tests.suspend import suspended

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

    health = HealthCheck("/healthz", timeout_seconds=1)
    return Spec(who, (sys.executable, "-c", code), environment, health, count, grace_seconds=2)


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


def tick_for(replicas: ReplicaSet, seconds: float) -> None:
    end = time.monotonic() + seconds
    until(replicas, lambda: time.monotonic() >= end)


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


def test_a_late_answer_of_a_process_long_healthy_changes_nothing(
    replicas: ReplicaSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replicas.apply(spec(tmp_path, "one"))
    until(replicas, lambda: replicas.complete)
    before, (port,) = replicas.states(), replicas.serving
    assert before[0].pid is not None
    monkeypatch.setattr(replica_sets, "START_SECONDS", 0.0)
    monkeypatch.setattr(replica_sets, "HEALTH_SECONDS", 0.0)
    with suspended(before[0].pid):
        tick_for(replicas, 1.3)  # long enough for one check to fail
        assert replicas.serving == (port,)
    tick_for(replicas, 1.3)
    assert replicas.states() == before
    assert replicas.complete


def test_a_process_that_hangs_is_replaced_and_ended(
    replicas: ReplicaSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replicas.apply(spec(tmp_path, "one"))
    until(replicas, lambda: replicas.complete)
    first = replicas.states()[0].pid
    assert first is not None
    monkeypatch.setattr(replica_sets, "HEALTH_SECONDS", 0.0)
    os.kill(first, signal.SIGSTOP)
    until(replicas, lambda: not replicas.serving)
    until(replicas, lambda: replicas.complete)
    assert replicas.states()[0].pid != first
    assert replicas.restarts == 1
    # A suspended process does not receive SIGTERM, so it is killed.
    until(replicas, lambda: first not in psutil.pids())
    assert not replicas.failed


def test_a_process_that_never_answers_is_given_up(
    replicas: ReplicaSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica_sets, "START_SECONDS", 1.0)
    replicas.apply(spec(tmp_path, "mute", code="import time; print('still loading', flush=True); time.sleep(60)"))
    until(replicas, lambda: bool(replicas.failed))
    assert "GET /healthz was not answered within 1 s" in replicas.failed
    assert replicas.failed.endswith("still loading")
    assert [state.status for state in replicas.states()] == ["failed"]


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
