"""Finds the documents that answer a question, and records each step."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from services.common.tracing import Span
from services.rag.embeddings.pool import CpuPool
from services.rag.pipeline.rerank import CANDIDATES, RERANKER_ID, blend, fuse
from services.rag.pipeline.understand import KnownAuthors, expand_query, named_authors
from services.rag.stores.documents import COLLECTIONS, Hit, StoreUnavailable, Vector
from services.rag.stores.qdrant import QdrantStore

# Upper bound of the whole retrieval; single calls to the store have their own, and some follow one another.
DEADLINE_SECONDS = 10.0


class Retriever:
    """Hybrid retrieval over all collections, fused and re-ranked."""

    def __init__(self, store: QdrantStore, pool: CpuPool, top_k: int) -> None:
        self._store = store
        self._pool = pool
        self._top_k = top_k
        self._authors = KnownAuthors(store)

    async def retrieve(self, query: str, author: str | None, root: Span) -> list[Hit]:
        """The best documents for a question, best first.

        Args:
            query: the question.
            author: only this author's documents; None lets the question decide by the names in it.
            root: the span that gets `retriever.retrieve_top_k` and `retriever.rerank` as children.

        Raises:
            StoreUnavailable: the store does not answer, or not in time.
            StoreMismatch: a collection belongs to another embedding model.
            Overloaded: too much CPU work is waiting.
        """
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                vector, found = await self._search(query, author, root)
                return await self._rerank(query, vector, found, root)
        except TimeoutError:
            raise StoreUnavailable(f"The document store did not answer within {DEADLINE_SECONDS:g} s.") from None

    async def _search(self, query: str, author: str | None, root: Span) -> tuple[Vector, list[Hit]]:
        with root.child("retriever.retrieve_top_k", "tool", query=query, author=author) as span:
            with span.child("query_expansion", query=query) as step:
                variants = expand_query(query)
                step.output = {"variants": variants}
            authors = await self._self_query(query, author, span)
            with span.child("embed", texts=variants) as step:
                vectors = await self._pool.embed(variants)
                step.metadata = {"embedding_model_id": self._pool.model_id, "dimension": self._pool.dimension}
            found = await asyncio.gather(
                *(self._search_one(collection, list(vectors), query, authors, span) for collection in COLLECTIONS),
                # Let every search end before the first failure is raised: none may write to a trace that has ended.
                return_exceptions=True,
            )
            per_collection: list[Sequence[Hit]] = []
            for result in found:
                if isinstance(result, BaseException):
                    raise result
                per_collection.append(result)
            hits = fuse(per_collection)
            span.output = {"documents": [_described(hit) for hit in hits]}
            return vectors[0], hits

    async def _self_query(self, query: str, author: str | None, parent: Span) -> list[str]:
        with parent.child("self_query", query=query) as step:
            known = await self._authors.names()
            if author is not None:
                # A caller may write a name in another case than the documents do.
                authors = [name for name in known if name.casefold() == author.casefold()] or [author]
            else:
                authors = named_authors(query, known)
            step.output = {"authors": authors}
            step.metadata = {"method": "request" if author is not None else "known-names"}
            return authors

    async def _search_one(
        self, collection: str, vectors: list[Vector], query: str, authors: list[str], parent: Span
    ) -> list[Hit]:
        with parent.child("search", "tool", collection=collection, authors=authors) as step:
            hits = await self._store.search(collection, vectors, query, authors=authors, limit=CANDIDATES)
            step.output = {"found": len(hits)}
            return hits

    async def _rerank(self, query: str, vector: Vector, found: list[Hit], root: Span) -> list[Hit]:
        with root.child("retriever.rerank", candidates=len(found)) as span:
            hits = await self._pool.run(blend, query, vector, found, self._top_k)
            span.metadata = {"reranker_id": RERANKER_ID, "top_k": self._top_k}
            span.output = {"documents": [_described(hit) for hit in hits]}
            return hits


def _described(hit: Hit) -> dict[str, Any]:
    return {
        "title": hit.chunk.title,
        "author": hit.chunk.author,
        "collection": hit.collection,
        "score": round(hit.score, 4),
    }
