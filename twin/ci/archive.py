"""A folder as a ZIP file whose bytes depend on the folder's contents alone: what is attested can be built again."""

from __future__ import annotations

import zipfile
from pathlib import Path

from twin.target.errors import TwinError

EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The first date that ZIP can write."""
READABLE = 0o644 << 16


def pack(folder: Path, out: Path) -> int:
    """Write every file of `folder` into `out`; returns their number.

    Raises:
        TwinError: the folder is missing or empty.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        raise TwinError(f"{folder} holds no files: `make evaluation-layer` first.")
    out.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            entry = zipfile.ZipInfo(str(path.relative_to(folder)), EARLIEST)
            entry.external_attr, entry.compress_type = READABLE, zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    return len(files)
