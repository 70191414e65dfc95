"""Retrieval: finds the documents for a question, and records each step in the trace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Literal

from services.common.breaker import CircuitBreaker, CircuitOpen
from services.common.tracing import Scope, Span
from services.rag.embeddings.pool import CpuPool
from services.rag.errors import StoreUnavailable
from services.rag.pipeline.rerank.ranking import Reranking
from services.rag.pipeline.understand.base import QueryUnderstanding
from services.rag.pipeline.understand.known_authors import KnownAuthors, spelled_as_known
from services.rag.stores.documents import COLLECTIONS, Hit, Vector
from services.rag.stores.filters import Filters
from services.rag.stores.qdrant import QdrantStore

# Upper bound of the whole retrieval: single calls to the store have their own, and some are sequential.
DEADLINE_SECONDS = 10.0

SearchMode = Literal["dense", "sparse", "hybrid"]


class Retriever:
    """Retrieval over all collections, fused and re-ranked. Safe for concurrent use on one event loop."""

    def __init__(
        self,
        store: QdrantStore,
        pool: CpuPool,
        understanding: QueryUnderstanding,
        reranking: Reranking | None,
        *,
        breaker: CircuitBreaker,
        top_k: int,
        candidates: int,
        mode: SearchMode = "hybrid",
    ) -> None:
        """Keep the parts.

        Args:
            store: where documents are.
            pool: embeds.
            understanding: finds rephrasings and filters.
            reranking: orders the candidates; None leaves them in the order of their search.
            breaker: of the store.
            top_k: most documents per question.
            candidates: most hits per collection, and most to be ordered.
            mode: which searches to use; anything but `hybrid` is for comparisons.
        """
        self._store = store
        self._pool = pool
        self._understanding = understanding
        self._reranking = reranking
        self._breaker = breaker
        self._top_k = top_k
        self._candidates = candidates
        self._mode = mode
        self._authors = KnownAuthors(store)

    @property
    def reranker_id(self) -> str | None:
        """Id of the configured re-ranker; a trace's metadata name the one that was used."""
        return self._reranking.reranker_id if self._reranking else None

    async def retrieve(self, query: str, author: str | None, root: Scope) -> list[Hit]:
        """The best documents for a question, best first.

        The trace's metadata name the re-ranker that was used as `reranker_id`, with `reranker_degraded` when it was not
        the configured one.

        Args:
            query: the question.
            author: only this author's documents; None lets the question decide by the names in it.
            root: the trace or span that gets `retriever.retrieve_top_k` and `retriever.rerank` as children.

        Raises:
            StoreUnavailable: the store does not answer, or not in time.
            StoreMismatch: a collection belongs to another embedding model.
            Overloaded: too much CPU work is waiting.
        """
        try:
            with self._breaker.call():
                return await self._retrieve(query, author, root)
        except CircuitOpen as error:
            raise StoreUnavailable(str(error)) from None

    async def _retrieve(self, query: str, author: str | None, root: Scope) -> list[Hit]:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                vector, found = await self._find(query, author, root)
                return await self._rank(query, vector, found, root)
        except TimeoutError:
            raise StoreUnavailable(f"The document store did not answer within {DEADLINE_SECONDS:g} s.") from None

    async def _find(self, query: str, author: str | None, root: Scope) -> tuple[Vector, list[Hit]]:
        with root.child("retriever.retrieve_top_k", "tool", query=query, author=author) as span:
            async with _task_group() as steps:
                original = steps.create_task(self._embed([query], span))
                variants = steps.create_task(self._expand(query, span))
                extracted = steps.create_task(self._self_query(query, author, span))
            vectors, filters = [*original.result(), *variants.result()], extracted.result()
            hits = await self._search(query, vectors, filters, span)
            if not hits and filters.dated:
                # A year in a question may belong to its topic: a date filter without any hit is dropped.
                span.metadata = {"relaxed": "no document from the asked time: dates were left out"}
                hits = await self._search(query, vectors, replace(filters, after=None, before=None), span)
            span.output = {"documents": [_described(hit) for hit in hits]}
            return vectors[0], hits

    async def _embed(self, texts: list[str], parent: Span) -> list[Vector]:
        with parent.child("embed", texts=texts) as step:
            step.derived = True
            step.model, step.provider = self._pool.model_id, "local"
            step.metadata = {"embedding_model_id": self._pool.model_id, "dimension": self._pool.dimension}
            vectors = list(await self._pool.embed(texts))
            step.output = {"vectors": len(vectors)}
            return vectors

    async def _expand(self, query: str, parent: Span) -> list[Vector]:
        """Embeddings of the question's variants, as soon as they are known."""
        with parent.child("query_expansion", query=query) as step:
            step.derived = True
            expansion = await self._understanding.expand(query)
            step.output = {"variants": list(expansion.variants)}
            step.metadata = {"method": expansion.method, "reason": expansion.reason, **expansion.source}
        return await self._embed(list(expansion.variants), parent) if expansion.variants else []

    async def _self_query(self, query: str, author: str | None, parent: Span) -> Filters:
        with parent.child("self_query", query=query, author=author) as step:
            known = await self._authors.names()
            extraction = await self._understanding.extract(query, known)
            filters = extraction.filters
            if author is not None:
                filters = replace(filters, authors=tuple(spelled_as_known(author, known)) or (author,))
            step.output = filters.described()
            step.metadata = {"method": extraction.method, "reason": extraction.reason, **extraction.source}
            step.metadata["authors_from"] = "question" if author is None else "request"
            return filters

    async def _search(self, query: str, vectors: Sequence[Vector], filters: Filters, parent: Span) -> list[Hit]:
        async with _task_group() as searches:
            tasks = [
                searches.create_task(self._search_one(collection, vectors, query, filters, parent))
                for collection in COLLECTIONS
            ]
        return fuse([task.result() for task in tasks], self._candidates)

    async def _search_one(
        self, collection: str, vectors: Sequence[Vector], query: str, filters: Filters, parent: Span
    ) -> list[Hit]:
        with parent.child("search", "tool", collection=collection, mode=self._mode, **filters.described()) as step:
            hits = await self._store.search(
                collection,
                [] if self._mode == "sparse" else vectors,
                None if self._mode == "dense" else query,
                filters=filters,
                limit=self._candidates,
            )
            step.output = {"found": len(hits)}
            return hits

    async def _rank(self, query: str, vector: Vector, found: list[Hit], root: Scope) -> list[Hit]:
        if self._reranking is None:
            return found[: self._top_k]
        with root.child("retriever.rerank", query=query, candidates=len(found)) as span:
            ranking = await self._reranking.rank(query, vector, found, self._top_k)
            span.metadata = {"reranker_id": ranking.reranker_id, "top_k": self._top_k, "degraded": ranking.degraded}
            span.output = {"documents": [_described(hit) for hit in ranking.hits]}
        root.metadata_of_trace["reranker_id"] = ranking.reranker_id
        if ranking.degraded:
            root.metadata_of_trace["reranker_degraded"] = ranking.degraded
        return ranking.hits


def fuse(per_collection: Sequence[Sequence[Hit]], limit: int) -> list[Hit]:
    """Merge the hits of all collections: the best by score, without repeated texts."""
    best: dict[str, Hit] = {}
    found = [hit for hits in per_collection for hit in hits]
    # Scores of ranks tie between collections; sorting by id makes the candidates of a question repeatable.
    for hit in sorted(found, key=lambda hit: (-hit.score, hit.chunk.id)):
        best.setdefault(" ".join(hit.chunk.text.split()), hit)
    return list(best.values())[:limit]


@asynccontextmanager
async def _task_group() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group that raises the first failure itself.

    It is raised when all tasks have ended, so that none writes to a trace that has ended.
    """
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


def _described(hit: Hit) -> dict[str, Any]:
    return {
        "title": hit.chunk.title,
        "author": hit.chunk.author,
        "collection": hit.collection,
        "score": round(hit.score, 4),
    }
