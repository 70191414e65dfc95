"""Brings the store to the state of a source, writing only what differs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.rag.embeddings.pool import CpuPool
from services.rag.ingest.chunk import chunks_of
from services.rag.ingest.documents import Corpus, Skipped
from services.rag.ingest.isolated import Isolated
from services.rag.ingest.limits import LIMITS, Limits
from services.rag.ingest.reader import Given
from services.rag.ingest.sources import read_source
from services.rag.ingest.write import batches, write
from services.rag.stores.documents import Chunk
from services.rag.stores.qdrant import QdrantStore

DELETED_AT_ONCE = 256

Progress = Callable[[int, int], None]


@dataclass
class IngestReport:
    """Result of an ingest; numbers count documents unless they say chunks."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    chunks_written: int = 0
    chunks_removed: int = 0
    skipped: list[Skipped] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the numbers, and each skipped file with its reason."""
        skipped = [{"id": found.id, "reason": found.reason} for found in self.skipped]
        return {**self.counts(), "skipped": skipped}

    def counts(self) -> dict[str, Any]:
        """The numbers alone, for a report of bounded size; skipped files are counted by reason."""
        # "duplicate of x", "larger than n bytes": what varies is not part of the reason.
        reasons = Counter(found.reason.split(" of ")[0] for found in self.skipped)
        numbers = {name: value for name, value in vars(self).items() if isinstance(value, int)}
        return {**numbers, "skipped_reasons": dict(reasons.most_common())}


@dataclass(frozen=True)
class _Plan:
    collection: str
    write: list[Chunk]
    remove: list[str]


async def ingest(
    source: str | Path,
    store: QdrantStore,
    pool: CpuPool,
    *,
    given: Given | None = None,
    progress: Progress | None = None,
    limits: Limits = LIMITS,
) -> IngestReport:
    """Read `source` and bring the store to the same state; repeating it changes nothing.

    Documents that came from this source earlier and are not in it any more are removed; those that cannot be read now
    stay. A run that was interrupted is completed by the next, which embeds only what is missing.

    Args:
        source: a path, `s3://bucket/prefix`, or the address of a Git repository.
        store: where to, opened for the tenant.
        pool: embeds.
        given: type and author, where the source does not name them.
        progress: called with (chunks done, chunks to write), first with (0, total).
        limits: of a document; one that reaches them is skipped.

    Raises:
        IngestError: there is nothing that could be read.
        StoreUnavailable, StoreMismatch: the store failed or belongs to another embedding model.
    """
    with Isolated(limits) as isolated:
        corpus = await asyncio.to_thread(read_source, source, given or Given(), isolated)
    report = IngestReport(skipped=list(corpus.skipped))
    plans = [await _plan(collection, corpus, store, pool, report) for collection in corpus.scope]
    total = sum(len(plan.write) for plan in plans)

    def on_written(count: int) -> None:
        report.chunks_written += count
        if progress:
            progress(report.chunks_written, total)

    on_written(0)
    for plan in plans:
        await write(plan.collection, plan.write, store, pool, on_written)
        # After the writes: an interrupted run leaves too many chunks, never too few.
        for ids in batches(plan.remove, DELETED_AT_ONCE):
            await store.delete(plan.collection, ids)
            report.chunks_removed += len(ids)
    return report


async def _plan(collection: str, corpus: Corpus, store: QdrantStore, pool: CpuPool, report: IngestReport) -> _Plan:
    await store.ensure(collection)
    everything = await store.stored(collection)
    stored = {key: found for key, found in everything.items() if corpus.owns(collection, found[0])}
    of_document: dict[str, set[str]] = {}
    for key, (owner, _) in stored.items():
        of_document.setdefault(owner, set()).add(key)
    changes: list[Chunk] = []
    wanted: set[str] = set()
    documents = [document for document in corpus.documents if document.collection == collection]
    for document in documents:
        chunks = await asyncio.to_thread(chunks_of, document, tenant=store.tenant, model_id=pool.model_id)
        ids = {chunk.id for chunk in chunks}
        wanted |= ids
        changed = [chunk for chunk in chunks if stored.get(chunk.id, ("", ""))[1] != chunk.content_hash]
        changes += changed
        if document.id not in of_document:
            report.added += 1
        elif changed or of_document[document.id] - ids:
            report.updated += 1
        else:
            report.unchanged += 1
    # A document that cannot be read now was not deleted by its author.
    kept = corpus.unreadable_of(of_document)
    remove = [key for key, (owner, _) in stored.items() if key not in wanted and owner not in kept]
    report.removed += len(of_document.keys() - {document.id for document in documents} - kept)
    return _Plan(collection, changes, remove)
