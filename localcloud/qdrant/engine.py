"""Collections in a folder that one process owns: each is one shard of the embedded engine."""

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
# Updates between two flushes: they are replayed from the write-ahead log at the start after a kill.
_FLUSH_EVERY: Final = 200


class DataFolderInUseError(RuntimeError):
    """The data folder is owned by another process."""


class Collection:
    """One collection. Every access to its shard goes through `use()`, one at a time. Safe for many threads.

    Attributes:
        folder: holds its description and its shard.
        request: the request that created it.
        schema: names and dimensions of its vectors.
    """

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
        """Lock the shard and yield it.

        Raises:
            QdrantError: 404 when the collection was deleted meanwhile, 400 for what the engine refuses, 500 for a
                failure of the engine.
        """
        with self._lock:
            if self._closed:
                raise QdrantError(404, "Not found: the collection was deleted.")
            with engine_errors():
                yield self._shard

    def update(self, operation: edge.UpdateOperation) -> int:
        """Apply an operation and return its number, counted from 1 since the start; it is in the write-ahead log then.

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
        """Flush and close the shard; `use` raises 404 afterwards. Further calls do nothing."""
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
            data: folder of the collections; created when it does not exist.

        Raises:
            DataFolderInUseError: another process uses the folder.
            OSError: the folder cannot be used.
            QdrantError: the engine cannot load a collection.
            ValueError: a collection's description is damaged.
            KeyError: a collection's description lacks a field.
        """
        self._root = data / "collections"
        self._root.mkdir(parents=True, exist_ok=True)
        self._folder_lock = _lock_folder(data / ".lock")
        self._lock = threading.Lock()
        self._collections: dict[str, Collection] = {}
        for folder in sorted(self._root.iterdir()):
            if folder.name.startswith("."):
                shutil.rmtree(folder)  # left by a kill during a creation or a deletion
                continue
            described = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
            request = models.CreateCollection.model_validate(described["request"])
            self._collections[described["name"]] = Collection(folder, request, _load(folder))

    def names(self) -> list[str]:
        """Names of all collections, sorted."""
        with self._lock:
            return sorted(self._collections)

    def get(self, name: str) -> Collection:
        """The collection of that name.

        Raises:
            QdrantError: 404 when it does not exist.
        """
        with self._lock:
            found = self._collections.get(name)
        if found is None:
            raise not_found(name)
        return found

    def create(self, name: str, request: models.CreateCollection) -> None:
        """Create a collection; after a kill it exists as a whole or not at all.

        Args:
            name: 1 to `MAX_NAME` characters, without those that Qdrant forbids.
            request: vectors and settings.

        Raises:
            QdrantError: 409 when the name is taken, 422 for a name or a vector size out of bounds, 400 for vectors that
                this server does not support.
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
        """Delete a collection and its files; returns whether it existed."""
        with self._lock:
            collection = self._collections.pop(name, None)
            if collection is None:
                return False
            collection.close()
            gone = collection.folder.rename(self._root / f".old-{uuid4().hex}")
        shutil.rmtree(gone, ignore_errors=True)
        return True

    def close(self) -> None:
        """Flush and close every collection, and release the folder."""
        with self._lock:
            for collection in self._collections.values():
                collection.close()
            self._collections.clear()
            self._folder_lock.close()


def _lock_folder(path: Path) -> IO[str]:
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
