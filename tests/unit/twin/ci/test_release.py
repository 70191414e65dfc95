"""What a tag publishes: an image that is built once, and archives whose bytes can be had again."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from twin.ci.archive import pack
from twin.ci.image import publish_release
from twin.target.errors import TwinError
from twin.target.github_job import Job

DIGEST = f"sha256:{'a' * 64}"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
JOB = Job("https://api.github.example", "Octo-Lab/llm-twin", "job-token", {})
ENGINE = f"""#!/bin/sh
echo "$@" >> "$0.log"
case "$1" in
  login) cat >> "$0.log" ;;
  push) touch "$0.pushed" ;;
  buildx) test -f "$0.pushed" && echo '{{"mediaType": "x", "digest": "{DIGEST}"}}' ;;
esac
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for Docker, which is not everywhere where tests run; gives the log of its calls."""
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(ENGINE)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return program.with_name("docker.log")


def test_a_versions_image_is_built_once_and_named_by_its_digest(engine: Path) -> None:
    for _ in range(2):
        assert publish_release(JOB, "ada", "1.2.3", COMMIT) == ("ghcr.io/octo-lab/llm-twin/rag", DIGEST)
    said = engine.read_text()
    assert "login --username ada --password-stdin ghcr.io\njob-token" in said
    (built,) = [line for line in said.splitlines() if line.startswith("build ")]
    assert f"--build-arg REVISION={COMMIT} --build-arg VERSION=1.2.3" in built
    assert built.split().count("ghcr.io/octo-lab/llm-twin/rag:1.2.3") == 1
    assert said.count("\npush ") == 1


def test_an_archive_depends_on_its_contents_alone(tmp_path: Path) -> None:
    folder, first, second = tmp_path / "layer", tmp_path / "out" / "first.zip", tmp_path / "second.zip"
    (folder / "python").mkdir(parents=True)
    (folder / "python" / "b.py").write_text("b")
    (folder / "a").write_text("a")
    assert pack(folder, first) == 2
    os.utime(folder / "a", (1, 1))
    pack(folder, second)
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        assert archive.namelist() == ["a", "python/b.py"]
    with pytest.raises(TwinError, match="holds no files"):
        pack(tmp_path / "none", second)
