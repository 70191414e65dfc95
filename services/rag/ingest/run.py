"""Makes the store hold what a tree holds, touching only what differs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from services.rag.embeddings.pool import CpuPool
from services.rag.ingest.chunk import chunk_document
from services.rag.ingest.reader import Corpus, Skipped, read_corpus
from services.rag.stores.documents import Chunk
from services.rag.stores.qdrant import QdrantStore

T = TypeVar("T")

BATCH = 64

Progress = Callable[[int, int], None]


@dataclass
class IngestReport:
    """What an ingest did; numbers count documents unless they say chunks."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    chunks_written: int = 0
    chunks_removed: int = 0
    skipped: list[Skipped] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class _Plan:
    collection: str
    write: list[Chunk]
    remove: list[str]


async def ingest(
    path: Path, store: QdrantStore, pool: CpuPool, *, tenant: str = "default", progress: Progress | None = None
) -> IngestReport:
    """Read `path` and bring the store's collections to the same state; repeating it changes nothing.

    Documents of the store that are not in the tree are removed, but only from the types whose folders exist, and not
    those that were skipped now. A run that was interrupted is completed by the next.

    Args:
        path: a tree `<type>/<author>/*.md`.
        store: where to, opened for the tenant.
        pool: embeds.
        tenant: part of the ids, as the store's.
        progress: called with (chunks done, chunks to write), first with (0, total).

    Raises:
        IngestError: there is nothing that could be read.
        StoreUnavailable, StoreMismatch: the store failed or belongs to another embedding model.
    """
    corpus = await asyncio.to_thread(read_corpus, path)
    report = IngestReport(skipped=list(corpus.skipped))
    plans = [await _plan(collection, corpus, store, pool, tenant, report) for collection in corpus.collections]
    total = sum(len(plan.write) for plan in plans)
    notify = progress or (lambda _done, _total: None)
    notify(0, total)
    for plan in plans:
        for batch in _batches(plan.write, BATCH):
            vectors = await pool.embed([f"{chunk.title}\n{chunk.text}" for chunk in batch])
            await store.upsert(plan.collection, batch, vectors)
            report.chunks_written += len(batch)
            notify(report.chunks_written, total)
        # After the writes: an interrupted run leaves too much, never too little.
        for ids in _batches(plan.remove, BATCH):
            await store.delete(plan.collection, ids)
            report.chunks_removed += len(ids)
    return report


async def _plan(
    collection: str, corpus: Corpus, store: QdrantStore, pool: CpuPool, tenant: str, report: IngestReport
) -> _Plan:
    await store.ensure(collection)
    stored = await store.stored(collection)
    known = {document_id for document_id, _ in stored.values()}
    write: list[Chunk] = []
    wanted: set[str] = set()
    documents = [document for document in corpus.documents if document.collection == collection]
    for document in documents:
        chunks = chunk_document(document, tenant=tenant, model_id=pool.model_id)
        wanted |= {chunk.id for chunk in chunks}
        changed = [chunk for chunk in chunks if stored.get(chunk.id, ("", ""))[1] != chunk.content_hash]
        shrunk = any(owner == document.id and key not in wanted for key, (owner, _) in stored.items())
        write += changed
        if document.id not in known:
            report.added += 1
        elif changed or shrunk:
            report.updated += 1
        else:
            report.unchanged += 1
    # What cannot be read today was not deleted by its author.
    kept = {skipped.id for skipped in corpus.skipped}
    remove = [key for key, (owner, _) in stored.items() if key not in wanted and owner not in kept]
    report.removed += len(known - {document.id for document in documents} - kept)
    return _Plan(collection, write, remove)


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
