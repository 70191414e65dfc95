"""Releases: an image that is built once, and files whose bytes can be made again."""

from __future__ import annotations

import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from twin.ci.image import publish_release
from twin.ci.release_files import pack, section, write
from twin.target.errors import TwinError
from twin.target.github_job import Job

DIGEST = f"sha256:{'a' * 64}"
# pragma: allowlist nextline secret - made-up commit
COMMIT = "0123456789abcdef0123456789abcdef01234567"
JOB = Job("https://api.github.example", "Octo-Lab/llm-twin", "job-token", {})
CHANGELOG = "# Changelog\n\n## Unreleased\n\n- Next.\n\n## [1.2.0] - 2026-01-02\n\n- Second.\n\n## 1.1.0\n\n- First.\n"
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


def test_the_notes_of_a_version_end_where_the_next_begins() -> None:
    assert section(CHANGELOG, "1.2.0") == "- Second."
    assert section(CHANGELOG, "1.1.0") == "- First."
    for version in ("1.2", "1.0.0"):
        with pytest.raises(TwinError, match="says nothing about"):
            section(CHANGELOG, version)


def test_a_release_has_notes_the_sources_of_its_tag_and_the_layer(tmp_path: Path) -> None:
    repository, layer, out = tmp_path / "repository", tmp_path / "layer", tmp_path / "made" / "dist"
    repository.mkdir()
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.com"]
    (repository / "CHANGELOG.md").write_text(CHANGELOG)
    for command in (("init", "--quiet"), ("add", "-A"), ("commit", "--quiet", "-m", "Release"), ("tag", "v1.2.0")):
        subprocess.run([*git, *command], cwd=repository, check=True)
    (repository / "later.py").write_text("not part of the tag")
    with pytest.raises(TwinError, match="run `make evaluation-layer` first"):
        write("v1.2.0", repository, layer, out)
    layer.mkdir()
    (layer / "a.py").write_text("a")
    files = write("v1.2.0", repository, layer, out)
    assert [file.name for file in files] == [
        "notes.md",
        "llm-twin-inference-v1.2.0.tar.gz",
        "evaluation-layer-arm64.zip",
    ]
    assert files[0].read_text() == "- Second.\n"
    with tarfile.open(files[1]) as archive:
        assert archive.getnames() == ["llm-twin-inference-v1.2.0", "llm-twin-inference-v1.2.0/CHANGELOG.md"]
    with zipfile.ZipFile(files[2]) as packed:
        assert packed.namelist() == ["a.py"]
    with pytest.raises(TwinError, match=r"source archive of v1\.1\.0 cannot be made"):
        write("v1.1.0", repository, layer, out)
