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
    assert not replicas.reason


def test_a_process_that_never_answers_is_started_again_and_says_why(
    replicas: ReplicaSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica_sets, "START_SECONDS", 1.0)
    replicas.apply(spec(tmp_path, "mute", code="import time; print('still loading', flush=True); time.sleep(60)"))
    until(replicas, lambda: replicas.deployment_failed)
    assert "GET /healthz was not answered within 1 s" in replicas.reason
    assert replicas.reason.endswith("still loading")
    until(replicas, lambda: replicas.restarts == 3)
    assert {state.reason for state in replicas.states()} == {replicas.reason}


def test_a_configuration_error_fails_the_deployment_at_once_and_the_old_generation_goes_on(
    replicas: ReplicaSet, tmp_path: Path
) -> None:
    replicas.apply(spec(tmp_path, "one"))
    until(replicas, lambda: replicas.complete)
    replicas.apply(spec(tmp_path, "bad", code=FAILING))
    until(replicas, lambda: replicas.deployment_failed)
    assert replicas.failures == 1
    assert replicas.reason.endswith("Configuration error: environment variable X is not set")
    assert who(replicas.serving[0]) == "one"
    assert [(s.status, s.reason) for s in replicas.states()] == [("healthy", ""), ("unhealthy", replicas.reason)]
    replicas.apply(spec(tmp_path, "one"))
    until(replicas, lambda: replicas.complete)
    assert not replicas.deployment_failed
    assert [(s.status, s.reason) for s in replicas.states()] == [("healthy", "")]


def test_what_crashes_is_tried_until_its_cause_is_gone(replicas: ReplicaSet, tmp_path: Path) -> None:
    cause = tmp_path / "cause"
    cause.touch()
    code = f"import os, sys\nif os.path.exists({str(cause)!r}): sys.exit('no room')\n{SERVER}"
    replicas.apply(spec(tmp_path, "one", code=code))
    until(replicas, lambda: replicas.failures >= 4, seconds=30)
    assert replicas.deployment_failed
    cause.unlink()
    until(replicas, lambda: replicas.complete, seconds=30)
    assert [(s.status, s.reason) for s in replicas.states()] == [("healthy", "")]
    assert replicas.restarts >= 4


def test_another_number_of_processes_is_tried_without_a_pause(replicas: ReplicaSet, tmp_path: Path) -> None:
    started = tmp_path / "started"
    code = f"open({str(started)!r}, 'a').write('x'); raise SystemExit(1)"
    replicas.apply(spec(tmp_path, "one", code=code))
    until(replicas, lambda: replicas.failures == 5, seconds=30)
    # The pause is 8 s now.
    before = time.monotonic()
    replicas.apply(spec(tmp_path, "one", count=2, code=code))
    until(replicas, lambda: started.read_text() == "x" * 7)
    assert time.monotonic() - before < 6


def test_one_that_crashes_beside_one_that_serves_is_started_with_growing_pauses(
    replicas: ReplicaSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica_sets, "STABLE_SECONDS", 0.5)
    monkeypatch.setattr(replica_sets, "HEALTH_SECONDS", 0.0)
    first = tmp_path / "first"
    code = f"import os, sys\ntry: os.mkdir({str(first)!r})\nexcept OSError: sys.exit('only one')\n{SERVER}"
    replicas.apply(spec(tmp_path, "one", count=2, code=code))
    until(replicas, lambda: replicas.failures >= 4, seconds=30)
    assert replicas.running == 1
    assert len(replicas.serving) == 1


def test_a_refused_generation_fails_again_and_again_and_starts_once_it_may(
    replicas: ReplicaSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica_sets, "REFUSAL_SECONDS", 0.1)
    replicas.apply(spec(tmp_path, "one"))
    until(replicas, lambda: replicas.complete)

    def refused() -> bool:
        replicas.refuse("two", "the role lacks a grant")
        return replicas.failures >= 3

    until(replicas, refused)
    assert replicas.restarts == 0
    assert not replicas.complete
    assert who(replicas.serving[0]) == "one"
    replicas.apply(spec(tmp_path, "two"))
    until(replicas, lambda: replicas.complete)
    assert who(replicas.serving[0]) == "two"


def test_a_halted_generation_starts_nothing(replicas: ReplicaSet, tmp_path: Path) -> None:
    replicas.apply(spec(tmp_path, "bad", code=FAILING))
    until(replicas, lambda: replicas.failures == 1)
    replicas.apply(spec(tmp_path, "bad", code=FAILING), halted=True)
    tick_for(replicas, 2)
    assert replicas.failures == 1
    assert [(s.name, s.status, s.reason) for s in replicas.states()] == [("api-failed", "failed", replicas.reason)]


def test_a_process_that_cannot_be_started_is_tried_again(replicas: ReplicaSet, tmp_path: Path) -> None:
    # The folder of the logs is a file: no log can be opened, as on a full disk.
    replicas.logs.write_text("")
    replicas.apply(spec(tmp_path, "one"))
    until(replicas, lambda: replicas.failures >= 2)
    assert "the process cannot be started" in replicas.reason
    assert [state.status for state in replicas.states()] == ["unhealthy"]
    replicas.logs.unlink()
    until(replicas, lambda: replicas.complete)


def test_stop_leaves_no_process(replicas: ReplicaSet, tmp_path: Path) -> None:
    replicas.apply(spec(tmp_path, "one", count=2))
    until(replicas, lambda: replicas.complete)
    pids = [state.pid for state in replicas.states()]
    replicas.stop()
    assert [pid for pid in pids if pid and psutil.pid_exists(pid)] == []


def test_nothing_of_the_developers_environment_leaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "mine")
    assert "AWS_PROFILE" not in base_environment(tmp_path)
