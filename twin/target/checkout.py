"""The release that this checkout is: a commit, or a commit and a hash where files of the image differ from it."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from twin.target.errors import TwinError
from twin.target.paths import ROOT

VARIABLE = "TWIN_RELEASE"
INPUTS = (
    "images/rag/Dockerfile",
    "LICENSE",
    "requirements/uv.txt",
    "requirements/embedding-build.txt",
    "requirements/rag.txt",
    "scripts/__init__.py",
    "scripts/build_embedding_model.py",
    "scripts/minilm_graph.py",
    "services/__init__.py",
    "services/common",
    "services/rag",
)
"""What the image is made from: all that its Dockerfile copies, and itself."""
HASH_LENGTH = 12


def release(root: Path = ROOT, environment: Mapping[str, str] = os.environ) -> str:
    """Tag of the service's image for this checkout.

    `TWIN_RELEASE` where it is set. Else the commit that is checked out, as long as no file of the image differs from
    it: settings and templates may, since no image holds them. Else the commit and a hash of the image's files, and
    without Git the hash alone, so that no tag names another content than it has.

    Raises:
        TwinError: Git is there and fails.
    """
    given = environment.get(VARIABLE)
    if given:
        return given
    if not (root / ".git").exists():
        return f"files-{content_hash(root)}"
    commit = _git(root, "rev-parse", "HEAD").strip()
    changed = _git(root, "status", "--porcelain", "--untracked-files=all", "--", *INPUTS).strip()
    return f"{commit}-{content_hash(root)}" if changed else commit


def content_hash(root: Path = ROOT) -> str:
    """Hash of the names, modes and bytes of the image's files."""
    digest = hashlib.sha256()
    for path in _files(root):
        name, executable = path.relative_to(root).as_posix(), bool(path.stat().st_mode & 0o100)
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{name}\0{executable}\0{content}\n".encode())
    return digest.hexdigest()[:HASH_LENGTH]


def _files(root: Path) -> Iterable[Path]:
    found = [each for name in INPUTS for each in ((root / name), *(root / name).rglob("*"))]
    return sorted(each for each in found if each.is_file() and "__pycache__" not in each.parts)


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise TwinError(f"Git is not installed, and names the release: install it, or set {VARIABLE}.") from None
    if done.returncode != 0:
        raise TwinError(f"Git does not name the release ({done.stderr.strip()}): set {VARIABLE} to a name of yours.")
    return done.stdout
