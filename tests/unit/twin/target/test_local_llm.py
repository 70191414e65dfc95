"""Which LLM answers locally: the server of this start, the one of an earlier start, or the quoting engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.asgi_server import serving
from tests.openai_server import openai_server
from twin.target import local_llm
from twin.target.errors import TwinError
from twin.target.local_llm import LlmServer, choose, remembered


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(local_llm, "LOCAL", tmp_path / ".local")
    monkeypatch.delenv(local_llm.KEY_VARIABLE, raising=False)
    return tmp_path / ".local"


def test_nothing_said_is_the_quoting_engine() -> None:
    assert choose(None, None) is None


def test_a_choice_stays_until_another_is_made() -> None:
    with serving(openai_server(("a", "b"))) as url:
        chosen = choose(f"{url}/v1/", "b")
        assert chosen == LlmServer(f"{url}/v1", "b") == choose(None, None)
        assert choose(None, "a") == LlmServer(f"{url}/v1", "a") == remembered()
        assert choose(None, None) == LlmServer(f"{url}/v1", "a")
    with pytest.raises(TwinError, match="make local-start LLM=extractive"):
        choose(None, None)
    assert choose("extractive", None) is None
    assert remembered() is None


def test_the_only_model_needs_no_name() -> None:
    with serving(openai_server(("only",))) as url:
        assert choose(f"{url}/v1", None) == LlmServer(f"{url}/v1", "only")


def test_a_server_without_a_list_needs_the_name() -> None:
    with serving(openai_server(None)) as url:
        with pytest.raises(TwinError, match="does not list its models"):
            choose(f"{url}/v1", None)
        assert choose(f"{url}/v1", "mine") == LlmServer(f"{url}/v1", "mine")


@pytest.mark.parametrize(("model", "sentence"), [(None, "has 2 models"), ("c", "has no model c: it has a, b")])
def test_a_model_that_is_not_there_is_a_sentence(model: str | None, sentence: str) -> None:
    with serving(openai_server(("a", "b"))) as url, pytest.raises(TwinError, match=sentence):
        choose(f"{url}/v1", model)
    assert remembered() is None


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://127.0.0.1:9/v1", "No LLM answers at"),
        ("127.0.0.1:11434", "is no address of an LLM"),
        ("http://[::1", "No LLM answers at"),
    ],
)
def test_a_server_that_cannot_be_asked_is_a_sentence(url: str, sentence: str) -> None:
    with pytest.raises(TwinError, match=sentence):
        choose(url, "any")


def test_a_model_without_a_server_is_a_sentence() -> None:
    with pytest.raises(TwinError, match="needs its server"):
        choose(None, "any")


def test_a_key_is_kept_in_a_file_of_its_own_and_in_no_variable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(openai_server(("only",), key="sk-1")) as url:
        with pytest.raises(TwinError, match="set LLM_OPENAI_API_KEY"):
            choose(f"{url}/v1", None)
        monkeypatch.setenv(local_llm.KEY_VARIABLE, "sk-1")
        server = choose(f"{url}/v1", None)
        monkeypatch.delenv(local_llm.KEY_VARIABLE)
        assert choose(None, None) == server is not None
    with serving(openai_server(("only",), key="sk-1")) as other, pytest.raises(TwinError, match="set LLM_OPENAI"):
        choose(f"{other}/v1", None)
    file = folder / "keys" / "llm-server"
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("sk-1", 0o600)
    assert server.environment()["LLM_OPENAI_KEY_FILE"] == str(file)
    assert "sk-1" not in server.environment().values()
    choose("extractive", None)
    assert not file.exists()


def test_a_damaged_file_says_how_to_go_on(folder: Path) -> None:
    folder.mkdir()
    (folder / "llm.json").write_text("[]")
    with pytest.raises(TwinError, match="make local-start LLM=extractive"):
        remembered()


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, "extractive"),
        ({"LLM_ENGINE": "confabulating", "LLM_OPENAI_MODEL": "left over"}, "confabulating"),
        ({"LLM_ENGINE": "openai", "LLM_OPENAI_MODEL": "qwen3:8b"}, "qwen3:8b"),
        ({"LLM_ENGINE": "openai"}, "openai"),
    ],
)
def test_the_models_name_is_that_of_what_answers(environment: dict[str, str], name: str) -> None:
    assert local_llm.model_name(environment) == name
