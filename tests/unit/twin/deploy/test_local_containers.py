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
def given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A local cloud that has given one service up; a real one is started by the tests of the whole."""
    log = tmp_path / "api.log"
    log.write_text("\n".join([f"line {number}" for number in range(100)] + ["", "1 validation error for RagSettings"]))
    reason = "environment variable QDRANT_URL is not set"
    processes = (
        ProcessState("api-failed", "ecs", "ECS service api", status="failed", log=str(log), reason=reason),
        ProcessState("llm-1", "sagemaker", "Endpoint", status="healthy", log="elsewhere"),
    )
    monkeypatch.setattr(evidence.lifecycle, "status", lambda _: State(1, {}, True, processes))
    return log


def test_a_container_that_was_given_up_shows_its_last_lines(given_up: Path) -> None:
    (found,) = evidence.local_containers("ecs")
    assert found.source == str(given_up)
    assert found.reasons == ("environment variable QDRANT_URL is not set",)
    assert len(found.lines) == evidence.LINES
    assert found.lines[-1] == "1 validation error for RagSettings"
    assert evidence.local_containers("sagemaker") == []


def test_the_first_line_stays_the_error_itself(given_up: Path) -> None:
    first = "ECS service api: environment variable QDRANT_URL is not set"
    message = str(explained_unready(TwinError(first), Stage("local", "us-east-1"), "cluster", "api"))
    assert "stopped:" not in message, "what the error says already is not said again"
    assert message.splitlines()[0] == first
    assert "means:  The container refuses its settings" in message
    assert "      | 1 validation error for RagSettings" in message


def test_a_log_that_is_gone_leaves_the_reason(given_up: Path) -> None:
    given_up.unlink()
    (found,) = evidence.local_containers()
    assert found.lines == ()
    assert found.reasons
