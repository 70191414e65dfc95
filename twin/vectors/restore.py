"""Restore of a vector backup: read as a whole, then written, then compared point by point."""

from __future__ import annotations

import gzip
import hashlib
import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from services.vectors.export import FORMAT, VERSION, Store, StoreError, path_of
from twin.target.errors import TwinError
from twin.target.progress import Progress

BATCH = 128


@dataclass
class BackupCollection:
    """One collection of a backup.

    Attributes:
        configuration: vectors, sparse vectors, metadata and indexes, as `export.configuration` has them.
        points: `fingerprint` by id, the id in JSON.
    """

    configuration: Mapping[str, Any]
    points: dict[str, bytes] = field(default_factory=dict)


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


def read(file: Path) -> dict[str, BackupCollection]:
    """Check a backup from its header to its end.

    Raises:
        TwinError: the file is no backup, of another version, cut off, damaged, or does not agree with itself.
    """
    held: dict[str, BackupCollection] = {}
    name, ended = "", False
    for line in _lines(file):
        if "collection" in line:
            name = line["collection"]["name"]
            held[name] = BackupCollection(line["collection"])
        elif "point" in line:
            _check_dimensions(file, name, held[name].configuration, line["point"])
            held[name].points[json.dumps(line["point"]["id"])] = fingerprint(line["point"])
        elif "end" in line:
            ended = line["end"] == {each: len(collection.points) for each, collection in held.items()}
    if not ended:
        raise TwinError(f"{file} is cut off or damaged: its end is missing or counts other points.")
    return held


def fingerprint(point: Mapping[str, Any]) -> bytes:
    """The same for points with the same vectors, as the store's 32-bit numbers, and the same payload."""
    digest = hashlib.blake2b(digest_size=16)
    vectors = point["vector"] if isinstance(point["vector"], dict) else {"": point["vector"]}
    for name in sorted(vectors):
        digest.update(name.encode() + b"\0")
        for number in _numbers(vectors[name]):
            digest.update(number)
    digest.update(json.dumps(point.get("payload") or {}, sort_keys=True).encode())
    return digest.digest()


def _numbers(vector: Any) -> Iterator[bytes]:
    if isinstance(vector, dict) and "indices" in vector:
        for index, value in sorted(zip(vector["indices"], vector["values"], strict=True)):
            yield struct.pack("<If", index, value)
    elif vector and isinstance(vector[0], list):
        for row in vector:
            yield from _numbers(row)
    else:
        yield struct.pack(f"<{len(vector or ())}f", *(vector or ()))


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    """Every line after the header."""
    try:
        with gzip.open(file, "rb") as packed:
            header = json.loads(packed.readline(65536) or b"null")
            if not isinstance(header, dict) or header.get("format") != FORMAT:
                raise TwinError(f"{file} is no backup of vectors.")
            if header.get("version") != VERSION:
                raise TwinError(f"{file} is a backup of version {header.get('version')}; this release reads {VERSION}.")
            for text in packed:
                yield json.loads(text)
    except gzip.BadGzipFile:
        raise TwinError(f"{file} is no backup of vectors, or it is damaged.") from None
    except (EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise TwinError(f"{file} is cut off or damaged ({type(error).__name__}).") from None


def _sizes(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Size and distance of each dense vector by name; the one without a name is the empty one."""
    vectors = configuration["vectors"]
    named = {"": vectors} if "size" in vectors else vectors
    return {name: (params["size"], params["distance"]) for name, params in named.items()}


def _check_dimensions(file: Path, name: str, configuration: Mapping[str, Any], point: Mapping[str, Any]) -> None:
    sizes = _sizes(configuration)
    vectors = point["vector"] if isinstance(point["vector"], dict) else {"": point["vector"]}
    for vector, values in vectors.items():
        if vector in sizes and isinstance(values, list) and values and not isinstance(values[0], list):
            size = sizes[vector][0]
            if len(values) != size:
                raise TwinError(
                    f"{file} does not agree with itself: point {point['id']} of {name} has {len(values)} dimensions, "
                    f"its collection {size}. Nothing was changed."
                )


def _check_compatible(store: Store, target: str, backup: BackupCollection, overwrite: bool) -> None:
    # The Qdrant client behind it takes a second to import.
    from services.rag.stores.qdrant import MODEL_KEY

    existing = store.collection(target)
    if existing is None:
        return
    for what, there, here in (
        ("vectors (size, distance)", _sizes(existing), _sizes(backup.configuration)),
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

    for line in _lines(file):
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
