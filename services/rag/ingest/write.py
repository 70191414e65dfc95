"""Embeds chunks and writes them to the store, both at the same time."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from services.common.embedding import BATCH_SIZE
from services.rag.embeddings.pool import CpuPool
from services.rag.errors import StoreUnavailable
from services.rag.stores.documents import Chunk, Vector
from services.rag.stores.qdrant import QdrantStore

T = TypeVar("T")

# Four batches of the model: they are ordered by tokens inside of it, which leaves less padding than an estimate does,
# and share one call to the store. An interrupted run loses one such group at most.
GROUP_SIZE = 4 * BATCH_SIZE
# Rare words are cut into pieces of about this many characters.
CHARACTERS_PER_PIECE = 8
_WORD = re.compile(r"[^\W_]+|[^\w\s]|_")

# A short outage of the store should not end a run of hours; writing a chunk twice has no further effect.
ATTEMPTS = 4
FIRST_PAUSE_SECONDS = 0.5


async def write(
    collection: str, chunks: list[Chunk], store: QdrantStore, pool: CpuPool, on_written: Callable[[int], None]
) -> None:
    """Embed and upsert chunks, shortest first: texts of like length together waste little on padding.

    The order depends on the chunks alone and groups are written in it. A run that was interrupted therefore leaves
    whole groups, and the next one makes the same groups of the rest (the model's vectors vary a little with the texts
    beside them).

    Args:
        on_written: called with the number of chunks after each group.

    Raises:
        StoreUnavailable: the store failed for longer than the retries last.
        Overloaded: the pool has too much other work.
    """
    ordered = sorted(chunks, key=lambda chunk: (_pieces(embedded_text(chunk)), chunk.id))
    upserting: asyncio.Task[None] | None = None

    async def upsert(batch: list[Chunk], vectors: Vector) -> None:
        await _upsert_with_retries(store, collection, batch, vectors)
        on_written(len(batch))

    try:
        for batch in batches(ordered, GROUP_SIZE):
            # The group before is on its way to the store meanwhile.
            vectors = await pool.embed([embedded_text(chunk) for chunk in batch])
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


def embedded_text(chunk: Chunk) -> str:
    """The text of a chunk that is embedded."""
    return f"{chunk.title}\n{chunk.text}"


def _pieces(text: str) -> int:
    """About how many tokens a text has; counting them would mean to tokenize everything twice."""
    return sum(1 + (len(word) - 1) // CHARACTERS_PER_PIECE for word in _WORD.findall(text))


async def _upsert_with_retries(store: QdrantStore, collection: str, batch: list[Chunk], vectors: Vector) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            await store.upsert(collection, batch, vectors)
            return
        except StoreUnavailable:
            if attempt == ATTEMPTS:
                raise
            # Jitter: several runs that met the same outage should not retry at the same time.
            await asyncio.sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))  # noqa: S311
