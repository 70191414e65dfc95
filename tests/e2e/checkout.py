"""A checkout as on a runner after set-up: a copy of the work tree, with this checkout's environment."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.e2e.conftest import ROOT

LINKED = (".venv", "node_modules", ".local/models", ".local/jsii")
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", ".local", "node_modules", "tests", "docs", "dist", "*.out", ".*_cache"
)


def check_out(folder: Path) -> Path:
    """A copy of the work tree, in which set-up has nothing to do."""
    shutil.copytree(ROOT, folder, ignore=NOT_COPIED, symlinks=True)
    for name in LINKED:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to((ROOT / name).resolve())
    (folder / "scripts" / "setup.py").write_text('"""Nothing to do: the packages are those of another checkout."""\n')
    return folder


def commit(folder: Path, message: str) -> str:
    """Commit everything, the links as well: what is checked out again needs no set-up either; returns the hash."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch", "main")
        git(folder, "add", "--force", *LINKED)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def git(folder: Path, *arguments: str) -> str:
    """What Git prints."""
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()
