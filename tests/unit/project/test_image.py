"""The image's recipe without a container engine: what it is made of, and that both sides name the same things."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import PurePosixPath

import pytest

from infra.constructs.rag.container import USER
from infra.constructs.rag.fargate_api import PORT
from infra.settings.retrieval import EmbeddingSettings
from scripts.build_embedding_model import FILES
from twin.ask.ingest import PROGRAM
from twin.ci.image import DOCKERFILE
from twin.target.paths import ROOT

TEXT = DOCKERFILE.read_text()
INSTRUCTIONS = [
    line.strip() for line in re.sub(r"\\\n", " ", TEXT).splitlines() if line.strip() and not line.startswith("#")
]
SHIPPED = INSTRUCTIONS[max(i for i, line in enumerate(INSTRUCTIONS) if line.startswith("FROM ")) :]


def values(instruction: str, lines: list[str] = INSTRUCTIONS) -> list[str]:
    return [line.removeprefix(f"{instruction} ") for line in lines if line.startswith(f"{instruction} ")]


def copied_from_context() -> list[str]:
    return [source for copy in values("COPY") if not copy.startswith("--from") for source in copy.split()[:-1]]


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path out: the last rule that fits it, or a folder above it, decides."""
    over = [path, *(str(parent) for parent in PurePosixPath(path).parents)]
    out = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        rule = line.strip().removeprefix("!")
        if not rule or rule.startswith("#"):
            continue
        pattern = re.escape(rule).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
        if any(re.fullmatch(pattern, each) for each in over):
            out = not line.startswith("!")
    return out


@pytest.fixture(scope="module")
def context() -> set[str]:
    """Files of the repository that a builder gets."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    return {file for file in files if not ignored(file)}


def test_the_context_holds_what_is_copied_and_nothing_else(context: set[str]) -> None:
    sources = copied_from_context()
    needed = {file for file in context if any(file == source or file.startswith(f"{source}/") for source in sources)}
    assert context == needed
    for source in sources:
        assert any(file == source or file.startswith(f"{source}/") for file in context), source


def test_the_context_holds_the_service_whole_and_no_other_part(context: set[str]) -> None:
    listed = ["git", "ls-files", "services/rag", "services/common"]
    service = set(subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split())
    assert service <= context
    assert f"{PROGRAM.replace('.', '/')}/__main__.py" in context
    assert {file.split("/")[0] for file in context} == {"LICENSE", "requirements", "scripts", "services"}
    for path in (".git/HEAD", ".env", "services/rag/__pycache__/app.pyc", "services/llm/app.py", "tests/conftest.py"):
        assert ignored(path), path


def test_every_stage_stands_on_the_one_base_that_is_pinned_by_digest() -> None:
    (base,) = [value for value in values("ARG") if value.startswith("PYTHON=")]
    assert re.fullmatch(r"PYTHON=docker\.io/library/python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", base)
    stages = [value.removeprefix("--platform=$BUILDPLATFORM ").split(" AS ") for value in values("FROM")]
    named = {stage[1] for stage in stages if len(stage) == 2}
    assert {stage[0] for stage in stages} <= {"${PYTHON}", *named}


def test_packages_come_from_the_locks_by_hash_and_for_the_bases_python() -> None:
    installs = [each for run in values("RUN") for each in run.split("&&") if "pip install" in each]
    assert len(installs) == 3
    for install in installs:
        assert "--require-hashes" in install
        assert re.search(r"--requirement requirements/(uv|rag|embedding-build)\.txt", install)
    assert "--python-version 3.11 " in TEXT
    assert 'python-version: "3.11"' in (ROOT / ".github" / "workflows" / "ci.yaml").read_text()


def test_the_stage_that_ships_runs_nothing_and_keeps_no_tools() -> None:
    assert values("RUN", SHIPPED) == []
    assert not any("/opt/tools" in line for line in SHIPPED)
    assert any("compileall" in run and "unchecked-hash" in run for run in values("RUN"))


def test_image_and_task_definition_name_the_same_user_port_command_and_model() -> None:
    assert values("USER", SHIPPED) == [USER]
    assert values("EXPOSE", SHIPPED) == [str(PORT)]
    assert json.loads(values("CMD", SHIPPED)[0]) == ["python", "-m", "services.rag"]
    model = EmbeddingSettings().model_dir
    assert f"EMBEDDING_MODEL_DIR={model}" in values("ENV", SHIPPED)[0]
    assert any(run.endswith(f"scripts.build_embedding_model {model}") for run in values("RUN"))
    assert f"--from=model {model.rpartition('/')[0]} {model.rpartition('/')[0]}" in values("COPY", SHIPPED)
    assert "model.onnx" in FILES
