"""A checkout as on a runner after set-up: a copy of the work tree, with this checkout's environment."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.e2e.conftest import ROOT

LINKED = ("node_modules", ".local/models", ".local/jsii")
MADE = (*LINKED, ".venv")
"""What Git ignores and a fresh checkout of the copy needs all the same."""
PROGRAM = """#!{python}
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from twin.app import main

main()
"""
"""`twin` of the checkout that it lies in; the installed one runs the code of the checkout that set-up ran in."""
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", ".local", "node_modules", "tests", "docs", "dist", "*.out", ".*_cache"
)


def check_out(folder: Path) -> Path:
    """A copy of the work tree, in which set-up has nothing to do."""
    shutil.copytree(ROOT, folder, ignore=NOT_COPIED, symlinks=True)
    for name in LINKED:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to((ROOT / name).resolve())
    environment(folder / ".venv")
    (folder / "scripts" / "setup.py").write_text('"""Nothing to do: the packages are those of another checkout."""\n')
    return folder


def environment(venv: Path) -> None:
    """This checkout's packages, with a `twin` that runs the copy's code."""
    own = ROOT / ".venv"
    (venv / "bin").mkdir(parents=True)
    for path in (own / "lib", own / "pyvenv.cfg", *(own / "bin").iterdir()):
        if path.name != "twin":
            (venv / path.relative_to(own)).symlink_to(path)
    program = venv / "bin" / "twin"
    program.write_text(PROGRAM.format(python=venv / "bin" / "python"))
    program.chmod(0o755)


def commit(folder: Path, message: str) -> str:
    """Commit everything, the links as well: what is checked out again needs no set-up either; returns the hash."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch", "main")
        git(folder, "add", "--force", *MADE)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def git(folder: Path, *arguments: str) -> str:
    """What Git prints."""
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()
