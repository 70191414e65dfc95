"""Versions of prompts: chosen, gone back from, and registered at the collector."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from services.rag.pipeline.prompt import PromptBuilder
from services.rag.prompts.library import PromptLibrary
from tests.integration.rag.local_servers import serving
from twin.prompts import versions as prompts
from twin.target.errors import TwinError

NAME = "answer_with_context"


@pytest.fixture
def library(tmp_path: Path) -> PromptLibrary:
    folder = tmp_path / "prompts"
    shutil.copytree(PromptLibrary().folder, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    text = (folder / f"{NAME}.v2.txt").read_text(encoding="utf-8")
    (folder / f"{NAME}.v10.txt").write_text(text.replace("plainly", "in one sentence"), encoding="utf-8")
    return PromptLibrary(folder)


@pytest.fixture(scope="module")
def opik(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with (
        serving("localcloud.opik", "/api/is-alive/ping", tmp_path_factory.mktemp("opik")) as url,
        httpx.Client(base_url=f"{url}/api", trust_env=False, timeout=20) as client,
    ):
        yield client


def test_a_version_is_promoted_used_and_rolled_back(library: PromptLibrary) -> None:
    assert library.versions()[NAME] == ["2", "10"] and library.active(NAME).version == "2"
    changed = prompts.diff(library, NAME, None, None)
    assert changed[:2] == [f"--- {NAME}.v2", f"+++ {NAME}.v10"]
    assert any(line.startswith("+") and "in one sentence" in line for line in changed[2:])
    assert prompts.promote(library, NAME, "10") == "10"
    assert PromptBuilder(1000, library=library).build("q", []).template.version == "10"
    assert prompts.rollback(library, NAME) == "2" and library.active(NAME).version == "2"
    with pytest.raises(TwinError, match="no version that was in use before"):
        prompts.rollback(library, NAME)


@pytest.mark.parametrize(("name", "version"), [(NAME, "3"), ("nobody", "1")])
def test_what_there_is_not_cannot_be_promoted(library: PromptLibrary, name: str, version: str) -> None:
    with pytest.raises(TwinError, match="there are"):
        prompts.promote(library, name, version)


def test_a_new_version_is_registered_only_when_the_text_changed(library: PromptLibrary, opik: httpx.Client) -> None:
    assert set(prompts.register(opik, library, "p")) == set(library.versions())
    assert prompts.register(opik, library, "p") == []
    prompts.promote(library, NAME, "10")
    assert prompts.register(opik, library, "p") == [NAME]
    asked = {"name": NAME, "project_name": "p"}
    newest = opik.post("/v1/private/prompts/versions/retrieve", json=asked).json()
    assert newest["commit"] == library.active(NAME).commit
    assert newest["version_number"] == "v2" and newest["variables"] == ["context", "question"]


def test_braces_in_a_question_stay(library: PromptLibrary) -> None:
    prompt = PromptBuilder(1000, library=library).build("what is {{context}} {x}?", [])
    assert "what is {{context}} {x}?" in prompt.messages[-1]["content"]
