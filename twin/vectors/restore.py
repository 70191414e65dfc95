"""Restore of a vector backup: read as a whole, then written, then compared point by point."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from services.vectors.export import Store, StoreError, path_of
from twin.target.errors import TwinError
from twin.target.progress import Progress
from twin.vectors.backup_file import BackupCollection, fingerprint, lines, read, vector_sizes

BATCH = 128


@dataclass(frozen=True)
class RestoreResult:
    """One collection after a restore.

    Attributes:
        collection: its name in the store.
        points: points of the backup, each compared with what the store now holds.
        others: points that the store had and the backup has not; they stay.
    """

    collection: str
    points: int
    others: int


def restore(
    store: Store, file: Path, progress: Progress, *, into: str = "", overwrite: bool = False
) -> list[RestoreResult]:
    """Load every collection of a backup under its name with `into` before it.

    Nothing is written before the whole file was read and every collection was found to fit. No point is ever deleted.
    A restore that was cut short is finished by the same call.

    Raises:
        TwinError: no whole backup, another dimension or model than the collection there, points there that differ from
            the backup's or are not in it without `overwrite`, or points that came out otherwise than they went in.
        StoreError: the store cannot be reached or refused.
    """
    backup = read(file)
    for name, collection in backup.items():
        _check_compatible(store, f"{into}{name}", collection, overwrite)
    try:
        for name, collection in backup.items():
            _create(store, f"{into}{name}", collection.configuration)
        _write(store, file, into, progress)
    except StoreError as error:
        message = f"{error} The restore is not finished and nothing is lost: run the same command again."
        raise TwinError(message) from None
    return [_compare(store, f"{into}{name}", collection) for name, collection in backup.items()]


def _check_compatible(store: Store, target: str, backup: BackupCollection, overwrite: bool) -> None:
    # The Qdrant client behind it takes a second to import.
    from services.rag.stores.qdrant import MODEL_KEY

    existing = store.collection(target)
    if existing is None:
        return
    for what, there, here in (
        ("vectors (size, distance)", vector_sizes(existing), vector_sizes(backup.configuration)),
        ("sparse vectors", sorted(existing["sparse_vectors"]), sorted(backup.configuration["sparse_vectors"])),
        ("embedding model", existing["metadata"].get(MODEL_KEY), backup.configuration["metadata"].get(MODEL_KEY)),
    ):
        if there != here:
            raise TwinError(
                f"{target} has other {what} than the backup: {there} there, {here} here. Nothing was changed; "
                "restore beside it with --into."
            )
    if overwrite:
        return
    different = others = 0
    for point in store.points(target):
        kept = backup.points.get(json.dumps(point["id"]))
        others += kept is None
        different += kept is not None and kept != fingerprint(point)
    if different or others:
        raise TwinError(
            f"{target} holds {different} points that differ from the backup's and {others} that it has not. Nothing "
            "was changed: restore beside it with --into, or put the backup's points in their place with --overwrite."
        )


def _create(store: Store, target: str, configuration: Mapping[str, Any]) -> None:
    if store.collection(target) is None:
        wanted = {key: configuration[key] for key in ("vectors", "sparse_vectors", "metadata") if configuration[key]}
        store.call("PUT", path_of(target), wanted)
    for name, schema in configuration["indexes"].items():
        store.call("PUT", f"{path_of(target)}/index?wait=true", {"field_name": name, "field_schema": schema})


def _write(store: Store, file: Path, into: str, progress: Progress) -> None:
    target = ""
    batch: list[dict[str, Any]] = []

    def flush() -> None:
        if batch:
            store.call("PUT", f"{path_of(target)}/points?wait=true", {"points": batch})
            batch.clear()

    for line in lines(file):
        if "collection" in line:
            flush()
            target = f"{into}{line['collection']['name']}"
            progress(f"{target:<24} restoring")
        elif "point" in line:
            batch.append({**line["point"], "payload": line["point"]["payload"] or {}})
            if len(batch) == BATCH:
                flush()
    flush()


def _compare(store: Store, target: str, backup: BackupCollection) -> RestoreResult:
    """Compare every point of the backup with the store's.

    Raises:
        TwinError: one is missing or came out otherwise.
    """
    left = dict(backup.points)
    others = 0
    wrong: list[str] = []
    for point in store.points(target):
        key = json.dumps(point["id"])
        kept = left.pop(key, None)
        others += kept is None
        if kept is not None and kept != fingerprint(point):
            wrong.append(key)
    wrong += left
    if wrong:
        some = ", ".join(islice(wrong, 3))
        raise TwinError(
            f"{len(wrong)} points of {target} are not as in the backup, like {some}: is another program writing?"
        )
    return RestoreResult(target, len(backup.points), others)
