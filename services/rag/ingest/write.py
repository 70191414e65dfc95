"""Embeds chunks and writes them to the store, both at the same time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from services.common.embedding import BATCH_SIZE
from services.rag.embeddings.pool import CpuPool
from services.rag.stores.documents import Chunk, StoreUnavailable, Vector
from services.rag.stores.qdrant import QdrantStore

T = TypeVar("T")

# A hiccup of the store should not end a run of hours; writing a chunk twice is the same as writing it once.
ATTEMPTS = 4
FIRST_PAUSE_SECONDS = 0.5


async def write(
    collection: str, chunks: list[Chunk], store: QdrantStore, pool: CpuPool, written: Callable[[int], None]
) -> None:
    """Embed and upsert chunks, shortest first: texts of like length in a batch waste little on padding.

    The order depends on the chunks alone and batches are written in it. A run that was interrupted therefore leaves
    whole batches, and the next one makes the same batches of the rest (the model's vectors vary a little with the texts
    beside them).

    Args:
        written: called with the number of chunks after each batch.

    Raises:
        StoreUnavailable: the store failed for longer than the retries last.
        Overloaded: the pool has too much other work.
    """
    ordered = sorted(chunks, key=lambda chunk: (len(_embedded(chunk)), chunk.id))
    upserting: asyncio.Task[None] | None = None

    async def upsert(batch: list[Chunk], vectors: Vector) -> None:
        await _persistently(store, collection, batch, vectors)
        written(len(batch))

    try:
        for batch in batches(ordered, BATCH_SIZE):
            # The batch before is on its way to the store meanwhile.
            vectors = await pool.embed([_embedded(chunk) for chunk in batch])
            if upserting:
                await upserting
            upserting = asyncio.create_task(upsert(batch, vectors))
        if upserting:
            await upserting
    finally:
        if upserting and not upserting.done():
            upserting.cancel()


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of `size`, the last one with the rest."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _embedded(chunk: Chunk) -> str:
    return f"{chunk.title}\n{chunk.text}"


async def _persistently(store: QdrantStore, collection: str, batch: list[Chunk], vectors: Vector) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            await store.upsert(collection, batch, vectors)
            return
        except StoreUnavailable:
            if attempt == ATTEMPTS:
                raise
            # Jitter: several runs that met the same hiccup should not come back together.
            await asyncio.sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))  # noqa: S311
