"""The release of a checkout: what it is called, and that no name stands for two contents."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from infra.settings.deployment import load_settings
from twin.target.checkout import INPUTS, release

SOURCE = "services/rag/app.py"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A committed checkout with the image's files."""
    for name in INPUTS:
        path = tmp_path / name
        if path.suffix or name in ("LICENSE", "images/rag/Dockerfile"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
    (tmp_path / SOURCE).parent.mkdir(parents=True)
    (tmp_path / SOURCE).write_text("first")
    (tmp_path / "infra").mkdir()
    (tmp_path / "infra" / "dev.toml").write_text("")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_given_release_is_taken(checkout: Path) -> None:
    assert release(checkout, {"TWIN_RELEASE": "1.2.3"}) == "1.2.3"


def test_the_commit_names_its_own_content_whatever_is_changed_beside_the_image(checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    (checkout / "infra" / "dev.toml").write_text('region = "eu-west-1"')
    (checkout / "notes").write_text("")
    assert release(checkout, {}) == commit


@pytest.mark.parametrize("path", [SOURCE, "services/rag/new.py", "images/rag/Dockerfile", "requirements/rag.txt"])
def test_another_content_has_another_name_each_time(checkout: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    (checkout / path).write_text("second")
    second = release(checkout, {})
    assert re.fullmatch(rf"{commit}-[0-9a-f]{{12}}", second)
    assert release(checkout, {}) == second
    (checkout / path).write_text("third")
    assert release(checkout, {}) not in (second, commit)
    monkeypatch.setenv("TWIN_RELEASE", second)
    assert load_settings("dev").release == second


def test_a_deleted_file_and_a_mode_are_content(checkout: Path) -> None:
    names = {release(checkout, {})}
    (checkout / SOURCE).chmod(0o755)
    names.add(release(checkout, {}))
    (checkout / SOURCE).unlink()
    names.add(release(checkout, {}))
    assert len(names) == 3


def test_without_git_the_content_is_the_name(checkout: Path, tmp_path: Path) -> None:
    (checkout / ".git").rename(checkout / "was-git")
    name = release(checkout, {})
    assert re.fullmatch(r"files-[0-9a-f]{12}", name)
    (checkout / SOURCE).write_text("second")
    assert release(checkout, {}) != name
