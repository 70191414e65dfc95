"""What the local deployment adds to the settings: it merges, and replaces nothing that a person has set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from localcloud.state import State
from twin.target import local_llm
from twin.target.cdk_environment import CONTAINER_ENVIRONMENT, DRILL_ENGINE, MODEL_NAME, stage_environment
from twin.target.stage import Stage

LOCAL = Stage("local", "us-east-1", local=State(1, {"qdrant": 1, "opik": 2}))


@pytest.fixture(autouse=True)
def _no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_llm, "LOCAL", tmp_path)


def found(engine: str | None = None) -> tuple[dict[str, str], str]:
    """The container's variables, and the model's name."""
    environment = stage_environment(LOCAL, engine)
    return json.loads(environment[CONTAINER_ENVIRONMENT]), environment[MODEL_NAME]


def test_a_variable_of_the_shell_joins_those_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONTAINER_ENVIRONMENT, '{"LLM_OPENAI_TIMEOUT_SECONDS": "9"}')
    container, name = found()
    assert (container["LLM_OPENAI_TIMEOUT_SECONDS"], container["LLM_ENGINE"], name) == ("9", "extractive", "extractive")
    assert container["EMBEDDING_MODEL_DIR"]


def test_an_engine_of_the_settings_stays_with_its_models_name(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"LLM_ENGINE": "openai", "LLM_OPENAI_BASE_URL": "http://127.0.0.1:1/v1", "LLM_OPENAI_MODEL": "mine"}
    monkeypatch.setenv(CONTAINER_ENVIRONMENT, json.dumps(given))
    container, name = found()
    assert given.items() <= container.items()
    assert name == "mine"


def test_the_drills_engine_comes_before_the_settings_and_names_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONTAINER_ENVIRONMENT, '{"LLM_OPENAI_TIMEOUT_SECONDS": "9"}')
    container, name = found(DRILL_ENGINE)
    assert (container["LLM_ENGINE"], container["LLM_OPENAI_TIMEOUT_SECONDS"], name) == (DRILL_ENGINE, "9", DRILL_ENGINE)


def test_a_name_of_the_shell_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODEL_NAME, "ada-twin")
    assert found()[1] == "ada-twin"


def test_a_stage_on_aws_gets_none_of_it() -> None:
    assert not {CONTAINER_ENVIRONMENT, MODEL_NAME} & set(stage_environment(Stage("dev", "us-east-1")))
