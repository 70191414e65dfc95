"""On this machine the containers' words come from the files that the local cloud keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud.state import ProcessState, State
from twin.deploy.failures import evidence
from twin.deploy.failures.report import explained_unready
from twin.target.errors import TwinError
from twin.target.stage import Stage


@pytest.fixture
def failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A local cloud in which a service does not start; a real one is started by the tests of the whole."""
    log = tmp_path / "api.log"
    log.write_text("\n".join([f"line {number}" for number in range(100)] + ["", "1 validation error for RagSettings"]))
    reason = "environment variable QDRANT_URL is not set"
    processes = (
        ProcessState("api-waiting", "ecs", "ECS service api", status="unhealthy", log=str(log), reason=reason),
        ProcessState("llm-1", "sagemaker", "Endpoint", status="healthy", log="elsewhere"),
    )
    monkeypatch.setattr(evidence.lifecycle, "status", lambda _: State(1, {}, True, processes))
    monkeypatch.setattr(evidence, "STATE_ROOT", tmp_path)
    return log


def test_a_container_that_does_not_start_shows_its_last_lines(failing: Path) -> None:
    (found,) = evidence.local_containers("ecs")
    assert found.source == failing.name
    assert found.reasons == ("environment variable QDRANT_URL is not set",)
    assert len(found.lines) == evidence.LINES
    assert found.lines[-1] == "1 validation error for RagSettings"
    assert evidence.local_containers("sagemaker") == []


def test_the_first_line_stays_the_error_itself(failing: Path) -> None:
    first = "ECS service api: environment variable QDRANT_URL is not set"
    message = str(explained_unready(TwinError(first), Stage("local", "us-east-1"), "cluster", "api"))
    assert "stopped:" not in message, "what the error says already is not said again"
    assert message.splitlines()[0] == first
    assert "means:  The container refuses its settings" in message
    assert "      | 1 validation error for RagSettings" in message


def test_a_log_that_is_gone_leaves_the_reason(failing: Path) -> None:
    failing.unlink()
    (found,) = evidence.local_containers()
    assert found.lines == ()
    assert found.reasons


def test_what_a_rollback_has_replaced_is_found_in_the_logs_of_its_kind(failing: Path) -> None:
    log = failing.parent / ".local" / "logs" / "sagemaker-model.log"
    log.parent.mkdir(parents=True)
    log.write_text("CUDA out of memory\n")
    (found,) = evidence.local_containers("sagemaker")
    assert (found.source, found.reasons) == (".local/logs/sagemaker-model.log", ())
    assert found.lines == ("CUDA out of memory",)
