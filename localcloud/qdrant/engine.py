"""The collections in a folder: one shard of the embedded engine each, owned by this process alone."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final
from uuid import uuid4

import qdrant_edge as edge
from qdrant_client.http import models

from localcloud.qdrant.errors import QdrantError, already_exists, engine_errors, not_found, validation_error
from localcloud.qdrant.translate_schema import Schema, edge_config, schema_of

MAX_NAME = 255
_FORBIDDEN = set('<>:"/\\|?*\0\x1f')  # Qdrant's rule for collection names
_DESCRIPTION: Final = "collection.json"
_SHARD: Final = "shard"
# The write-ahead log is replayed after a kill; flushing now and then keeps it, and that start, short.
_FLUSH_EVERY: Final = 200


class DataFolderInUseError(RuntimeError):
    """Another process owns the data folder."""


class Collection:
    """One collection. Every access to its shard is inside `use()`, one at a time."""

    def __init__(self, folder: Path, request: models.CreateCollection, shard: edge.EdgeShard) -> None:
        self.folder = folder
        self.request = request
        self.schema: Schema = schema_of(request)
        self._shard = shard
        self._lock = threading.RLock()
        self._updates = 0
        self._closed = False

    @contextlib.contextmanager
    def use(self) -> Iterator[edge.EdgeShard]:
        """The shard, locked.

        Raises:
            QdrantError: 404 when the collection was deleted meanwhile; what the engine refuses, as 400; what it failed
                at, as 500.
        """
        with self._lock:
            if self._closed:
                raise QdrantError(404, "Not found: the collection was deleted.")
            with engine_errors():
                yield self._shard

    def update(self, operation: edge.UpdateOperation) -> int:
        """Apply an operation; once this returns it is in the write-ahead log. Returns the operation's number.

        Raises:
            QdrantError: as `use`.
        """
        with self.use() as shard:
            shard.update(operation)
            self._updates += 1
            if self._updates % _FLUSH_EVERY == 0:
                shard.flush()
            return self._updates

    def close(self) -> None:
        """Flush and let go of the files. Nothing can be done with it afterwards."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._shard.flush()
                self._shard.close()


class Engine:
    """All collections of a folder. Safe for many threads."""

    def __init__(self, data: Path) -> None:
        """Open the folder and every collection in it.

        Args:
            data: made when it does not exist.

        Raises:
            DataFolderInUseError: another process has it.
            OSError: it cannot be used.
            QdrantError: a collection in it cannot be loaded.
        """
        self._root = data / "collections"
        self._root.mkdir(parents=True, exist_ok=True)
        self._owned = _own(data / ".lock")
        self._lock = threading.Lock()
        self._collections: dict[str, Collection] = {}
        for folder in sorted(self._root.iterdir()):
            if folder.name.startswith("."):
                shutil.rmtree(folder)  # half made or half removed when the process was killed
                continue
            described = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
            request = models.CreateCollection.model_validate(described["request"])
            self._collections[described["name"]] = Collection(folder, request, _load(folder))

    def names(self) -> list[str]:
        """Of all collections, sorted."""
        with self._lock:
            return sorted(self._collections)

    def get(self, name: str) -> Collection:
        """A collection.

        Raises:
            QdrantError: 404 when there is none.
        """
        with self._lock:
            found = self._collections.get(name)
        if found is None:
            raise not_found(name)
        return found

    def create(self, name: str, request: models.CreateCollection) -> None:
        """Make a collection; it exists as a whole or not at all, also after a kill.

        Raises:
            QdrantError: 409 when the name is taken, 422 for a name or a vector size out of bounds.
        """
        if not name or len(name) > MAX_NAME or _FORBIDDEN & set(name):
            raise validation_error(f'collection_name: must have 1 to {MAX_NAME} characters and none of <>:"/\\|?*')
        schema_of(request)
        with self._lock:
            if name in self._collections:
                raise already_exists(name)
            draft = self._root / f".new-{uuid4().hex}"
            draft.mkdir()
            try:
                described = {"name": name, "request": request.model_dump(mode="json", exclude_none=True, by_alias=True)}
                (draft / _DESCRIPTION).write_text(json.dumps(described), encoding="utf-8")
                with engine_errors():
                    edge.EdgeShard.create(str(draft / _SHARD), edge_config(request)).close()
                folder = draft.rename(self._root / hashlib.sha256(name.encode()).hexdigest()[:32])
            except BaseException:
                shutil.rmtree(draft, ignore_errors=True)
                raise
            self._collections[name] = Collection(folder, request, _load(folder))

    def delete(self, name: str) -> bool:
        """Remove a collection and its files. Returns whether there was one."""
        with self._lock:
            collection = self._collections.pop(name, None)
            if collection is None:
                return False
            collection.close()
            gone = collection.folder.rename(self._root / f".old-{uuid4().hex}")
        shutil.rmtree(gone, ignore_errors=True)
        return True

    def close(self) -> None:
        """Flush everything and release the folder."""
        with self._lock:
            for collection in self._collections.values():
                collection.close()
            self._collections.clear()
            self._owned.close()


def _own(path: Path) -> IO[str]:
    handle = path.open("w", encoding="utf-8")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        raise DataFolderInUseError(f"The folder {path.parent} is in use by another Qdrant server.") from None
    handle.write(str(os.getpid()))
    handle.flush()
    return handle


def _load(folder: Path) -> edge.EdgeShard:
    with engine_errors():
        return edge.EdgeShard.load(str(folder / _SHARD))
