"""`twin vectors`: backup of a stage's vector store into a file or a bucket, and its restore."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from services.vectors.export import Store, StoreError, export_to
from twin.target.errors import TwinError
from twin.target.progress import Progress
from twin.target.stage import Stage, connect
from twin.target.vector_store import READ_KEY, WRITE_KEY, store_access
from twin.vectors.restore import RestoreResult, restore

SUFFIX = ".jsonl.gz"


def backup(stage_name: str, target: str | None, *, url: str | None = None) -> tuple[str, dict[str, int]]:
    """Write every collection of a store to a file or to `s3://bucket/key`.

    Args:
        target: None names a file in the present folder after the stage and the time.
        url: another store than the stage's; its key is read from QDRANT_API_KEY.

    Returns:
        Where the backup is, and its number of points by collection.

    Raises:
        TwinError: the store or the target cannot be reached.
    """
    stage = _stage(stage_name, url, target)
    target = target or f"vectors-{stage_name}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}{SUFFIX}"
    with _store_errors(), tempfile.TemporaryDirectory() as folder:
        store = store_of(stage_name, stage, url)
        if not _is_s3(target):
            return target, export_to(store, Path(target))
        draft = Path(folder) / f"backup{SUFFIX}"
        counts = export_to(store, draft)
        bucket, key = _bucket_and_key(target)
        _required(stage).client("s3").upload_file(str(draft), bucket, key)
        return target, counts


def restore_from(
    stage_name: str,
    source: str,
    progress: Progress,
    *,
    url: str | None = None,
    into: str = "",
    overwrite: bool = False,
) -> list[RestoreResult]:
    """Load a backup, a file or `s3://bucket/key`, into a store and compare every point.

    Args:
        url: another store than the stage's; its key is read from QDRANT_API_KEY.
        into: prefix of the collections' names, to restore beside what is there.
        overwrite: let the backup's points replace points of the same id.

    Raises:
        TwinError: the store cannot be reached, the backup is no whole backup, or it does not fit what is there.
    """
    stage = _stage(stage_name, url, source)
    with _store_errors(), tempfile.TemporaryDirectory() as folder:
        store = store_of(stage_name, stage, url, key_output=WRITE_KEY)
        file = Path(source)
        if _is_s3(source):
            file = Path(folder) / "backup"
            bucket, key = _bucket_and_key(source)
            _required(stage).client("s3").download_file(bucket, key, str(file))
        return restore(store, file, progress, into=into, overwrite=overwrite)


def store_of(stage_name: str, stage: Stage | None, url: str | None, *, key_output: str = READ_KEY) -> Store:
    """The store at `url`, else the stage's own, see `store_access`.

    Raises:
        TwinError: the stage is not deployed, or its store can only be reached through a tunnel.
        StoreError: QDRANT_CA_FILE cannot be used.
    """
    access = store_access(stage_name, stage, url, key_output=key_output)
    return Store(access.url, access.key, access.ca_file)


def _stage(name: str, url: str | None, file: str | None) -> Stage | None:
    """The stage; None when store and file are both named, which needs none."""
    return None if url is not None and not _is_s3(file or "") else connect(name)


def _required(stage: Stage | None) -> Stage:
    assert stage is not None  # noqa: S101 - connected wherever a bucket or a stage's own store is used
    return stage


def _is_s3(name: str) -> bool:
    return name.startswith("s3://")


def _bucket_and_key(name: str) -> tuple[str, str]:
    parts = urlsplit(name)
    key = parts.path.lstrip("/")
    if not parts.netloc or not key or key.endswith("/"):
        raise TwinError(f"{name} names no object: write s3://bucket/name{SUFFIX}.")
    return parts.netloc, key


@contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        raise TwinError(str(error)) from None
