"""Files of a release: notes, source archive and the evaluation functions' layer.

The layer's archive depends on the layer's contents alone, so that what is attested can be built again.
"""

from __future__ import annotations

import re
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path

from twin.target.errors import TwinError

EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The first date that ZIP can write."""
READABLE = 0o644 << 16
NAME = "llm-twin-inference"
NOTES = "notes.md"
LAYER = "evaluation-layer-arm64.zip"


def write(tag: str, repository: Path, layer: Path, out: Path) -> Sequence[Path]:
    """Write the notes, the source archive and the layer's archive of a version into `out`.

    Args:
        tag: version tag, like v1.2.3.
        repository: clone with the tag; its CHANGELOG.md has a section of that version.
        layer: folder that `make evaluation-layer` built.
        out: folder to write into; made when it is missing.

    Returns:
        The files.

    Raises:
        TwinError: the section, the tag or the layer is missing.
    """
    notes, sources, archive = out / NOTES, out / f"{NAME}-{tag}.tar.gz", out / LAYER
    text = section((repository / "CHANGELOG.md").read_text(encoding="utf-8"), tag.removeprefix("v"))
    out.mkdir(parents=True, exist_ok=True)
    notes.write_text(f"{text}\n", encoding="utf-8")
    archive_sources(tag, repository, sources)
    pack(layer, archive)
    return notes, sources, archive


def section(changelog: str, version: str) -> str:
    """Text below the heading of `version` (`## 1.2.3`, `## [1.2.3] - date`), up to the next version.

    Raises:
        TwinError: there is no such heading, or nothing below it.
    """
    heading = re.compile(rf"^## \[?{re.escape(version)}\]?(?:\s.*)?$", re.MULTILINE)
    found = heading.search(changelog)
    text = re.split(r"^## ", changelog[found.end() :], maxsplit=1, flags=re.MULTILINE)[0].strip() if found else ""
    if not text:
        raise TwinError(f"CHANGELOG.md says nothing about {version}: write its section before the tag.")
    return text


def archive_sources(tag: str, repository: Path, out: Path) -> None:
    """Write the files of a tag into a compressed archive.

    Raises:
        TwinError: with Git's reason, such as that there is no such tag.
    """
    command = ["git", "archive", "--format", "tar.gz", "--prefix", f"{NAME}-{tag}/"]
    command += ["--output", str(out.resolve()), f"refs/tags/{tag}"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TwinError(f"The source archive of {tag} cannot be made: {done.stderr.strip()}")


def pack(folder: Path, out: Path) -> int:
    """Write every file of `folder` into `out`; returns their number.

    Raises:
        TwinError: the folder is missing or empty.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        raise TwinError(f"{folder} holds no files: run `make evaluation-layer` first.")
    out.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            entry = zipfile.ZipInfo(str(path.relative_to(folder)), EARLIEST)
            entry.external_attr, entry.compress_type = READABLE, zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    return len(files)
