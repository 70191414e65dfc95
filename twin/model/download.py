"""Download of one file of the hub, which continues an earlier one."""

from __future__ import annotations

import time
from pathlib import Path

import httpx

from twin.model.hub import Hub, HubFile
from twin.target.errors import TwinError
from twin.target.progress import Progress

ATTEMPTS = 5
"""How often in a row a download may break off without a single new byte."""
PAUSE_SECONDS = 2.0
STEP_BYTES = 512 * 1024**2
"""Bytes between two lines of progress."""
MB = 1_000_000


def download(hub: Hub, model: str, revision: str, file: HubFile, target: Path, progress: Progress) -> None:
    """Bring `target` to the size that the hub's list gives; its content is still unchecked.

    Raises:
        TwinError: when the connection breaks off again and again, or the hub sends more than it lists.
        HubError: when the hub refuses the file.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and target.stat().st_size > file.size:
        target.unlink()
    target.touch()
    failures = 0
    while (there := target.stat().st_size) < file.size:
        try:
            _continue(hub, model, revision, file, target, progress)
        except httpx.HTTPError as error:
            failures = failures + 1 if target.stat().st_size <= there else 0
            if failures >= ATTEMPTS:
                raise TwinError(
                    f"{file.path} breaks off again and again ({type(error).__name__}: {error}). What is here is kept: "
                    "run the command again."
                ) from None
            progress(f"{file.path}: the connection broke off, continuing")
            time.sleep(PAUSE_SECONDS * failures)


def _continue(hub: Hub, model: str, revision: str, file: HubFile, target: Path, progress: Progress) -> None:
    first = target.stat().st_size
    with hub.opened(model, revision, file.path, first) as answer:
        continued = answer.status_code == httpx.codes.PARTIAL_CONTENT
        size, reported = (first, first) if continued else (0, 0)
        with target.open("ab" if continued else "wb") as out:
            for piece in answer.iter_raw():
                size += len(piece)
                if size > file.size:
                    break
                out.write(piece)
                if size - reported >= STEP_BYTES:
                    reported = size
                    progress(f"{file.path}: {size // MB} of {file.size // MB} MB downloaded")
    if size != file.size:
        # Too much would be continued for ever; too little without an error looks like a broken connection.
        if size > file.size:
            target.unlink()
            raise TwinError(f"The hub sends more of {file.path} than it lists ({file.size} bytes).")
        raise httpx.ReadError(f"{size} of {file.size} bytes")
