"""Documents in Qdrant: three collections, dense and sparse vectors, one tenant per store object."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, date, datetime, time
from typing import Any

import httpx
import numpy as np
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from services.common.tls import authorities
from services.rag.errors import StoreMismatch, StoreUnavailable
from services.rag.stores.documents import COLLECTIONS, Chunk, Hit, Vector, chunk_from_payload
from services.rag.stores.filters import Filters

DENSE = "dense"
SPARSE = "bm25"
SPARSE_MODEL = "qdrant/bm25"
MODEL_KEY = "embedding_model_id"
INDEXES = {
    "author": models.PayloadSchemaType.KEYWORD,
    "tenant": models.PayloadSchemaType.KEYWORD,
    "date": models.PayloadSchemaType.DATETIME,
}
SCROLL_PAGE = 500
MAX_AUTHORS = 1000
_NOT_FOUND = 404


class QdrantStore:
    """Search and upkeep of one tenant's documents. Safe for concurrent use on one event loop."""

    def __init__(
        self,
        url: str,
        *,
        embedding_model_id: str,
        dimension: int,
        tenant: str,
        auth: httpx.Auth | None = None,
        timeout_seconds: int = 5,
        trusted: ssl.SSLContext | None = None,
    ) -> None:
        """Build the client; connects on first use.

        Args:
            url: address of the server.
            embedding_model_id: the model of all vectors that go in or are searched with.
            dimension: length of its vectors.
            tenant: only this tenant's documents are read, written and removed. Required: a default could be another
                tenant's.
            auth: puts the key into every call; None for a server without keys.
            timeout_seconds: upper bound of one call.
            trusted: certificates that the server is trusted by; None means the system's authorities.
        """
        self._model_id = embedding_model_id
        self._dimension = dimension
        self.tenant = tenant
        """The tenant whose documents these are."""
        self._checked: set[str] = set()
        # cloud_inference: the server turns text into sparse vectors; the client must not try to.
        self._client = AsyncQdrantClient(
            url=url,
            auth=auth,
            timeout=timeout_seconds,
            cloud_inference=True,
            check_compatibility=False,
            verify=trusted or authorities(),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def ping(self) -> None:
        """Check that the server answers.

        Raises:
            StoreUnavailable: it does not.
        """
        with _store_errors():
            await self._client.get_collections()

    async def search(
        self,
        collection: str,
        vectors: Sequence[Vector],
        text: str | None,
        *,
        filters: Filters | None = None,
        limit: int = 20,
    ) -> list[Hit]:
        """Dense search for each vector and BM25 for the text, fused by reciprocal rank when they are several.

        Args:
            collection: one of COLLECTIONS. One that does not exist yet holds nothing.
            vectors: embeddings of the question and its variants; none leaves it to BM25.
            text: the question, for BM25; None leaves it to the vectors.
            filters: only documents that meet these; None means all of the tenant.
            limit: most hits.

        Raises:
            StoreUnavailable: the server cannot be reached or failed.
            StoreMismatch: the collection belongs to another embedding model.
        """
        where = self._filter(filters)
        dense = [models.Prefetch(query=vector.tolist(), using=DENSE, filter=where, limit=limit) for vector in vectors]
        sparse = [
            models.Prefetch(
                query=models.Document(text=one, model=SPARSE_MODEL), using=SPARSE, filter=where, limit=limit
            )
            for one in (text,)
            if one is not None
        ]
        with _store_errors():
            if not await self._compatible(collection):
                return []
            try:
                found = await self._client.query_points(
                    collection,
                    **_query([*dense, *sparse]),
                    query_filter=where,
                    limit=limit,
                    with_payload=True,
                    with_vectors=[DENSE],
                )
            except UnexpectedResponse as error:
                if error.status_code != _NOT_FOUND:
                    raise
                # Deleted since it was checked: what comes in its place has to be checked again.
                self._checked.discard(collection)
                return []
        return [self._hit(collection, point) for point in found.points]

    async def authors(self) -> list[str]:
        """Names of all authors, sorted.

        Raises:
            StoreUnavailable: the server cannot be reached or failed.
        """
        with _store_errors():
            found = await asyncio.gather(*(self._authors(collection) for collection in COLLECTIONS))
        return sorted(set().union(*found))

    async def document_ids(self, collection: str) -> set[str]:
        """Ids of the documents in a collection; one that does not exist yet holds none.

        Raises:
            StoreUnavailable: the server cannot be reached or failed.
            StoreMismatch: the collection belongs to another embedding model.
        """
        with _store_errors():
            if not await self._compatible(collection):
                return set()
        return {document_id for document_id, _ in (await self.stored(collection)).values()}

    async def ensure(self, collection: str) -> None:
        """Create the collection and its payload indexes unless they exist.

        Raises:
            StoreUnavailable: the server cannot be reached or failed.
            StoreMismatch: it exists and belongs to another embedding model.
        """
        with _store_errors():
            if not await self._compatible(collection):
                await self._client.create_collection(
                    collection,
                    vectors_config={DENSE: models.VectorParams(size=self._dimension, distance=models.Distance.COSINE)},
                    sparse_vectors_config={SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)},
                    metadata={MODEL_KEY: self._model_id, "dimension": self._dimension},
                )
            # Also for a collection that was there: an earlier release, or a run that was killed, made fewer of them.
            for field, kind in INDEXES.items():
                await self._client.create_payload_index(collection, field, kind, wait=True)

    async def stored(self, collection: str) -> dict[str, tuple[str, str]]:
        """Point id -> (document id, content hash) of everything in the collection.

        Raises:
            StoreUnavailable: the server cannot be reached or failed.
        """
        with _store_errors():
            return {key: value async for key, value in self._scroll(collection)}

    async def upsert(self, collection: str, chunks: Sequence[Chunk], vectors: Vector) -> None:
        """Write chunks with their embeddings (one row per chunk); the same id replaces.

        An id that is another tenant's is left alone (`update_filter`, since Qdrant 1.16).

        Raises:
            StoreUnavailable: the server cannot be reached or failed.
        """
        points = [self._point(chunk, vector) for chunk, vector in zip(chunks, vectors, strict=True)]
        with _store_errors():
            await self._client.upsert(collection, points, wait=True, update_filter=self._filter())

    async def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Remove points by id; ids of another tenant's points are left alone.

        Raises:
            StoreUnavailable: the server cannot be reached or failed.
        """
        own = self._filter(None, models.HasIdCondition(has_id=list(ids)))
        with _store_errors():
            await self._client.delete(collection, models.FilterSelector(filter=own), wait=True)

    def _filter(self, filters: Filters | None = None, *further: models.Condition) -> models.Filter:
        """Build the filter of every read, search, replacement and removal: the only place that enforces the tenant."""
        asked = filters or Filters()
        must: list[models.Condition] = [
            models.FieldCondition(key="tenant", match=models.MatchValue(value=self.tenant)),
            *further,
        ]
        if asked.authors:
            must.append(models.FieldCondition(key="author", match=models.MatchAny(any=list(asked.authors))))
        if asked.dated:
            days = models.DatetimeRange(gte=_midnight(asked.after), lt=_midnight(asked.before))
            must.append(models.FieldCondition(key="date", range=days))
        return models.Filter(must=must)

    async def _compatible(self, collection: str) -> bool:
        """Whether the collection exists; refuses one of another embedding model (asked once per collection)."""
        if collection in self._checked:
            return True
        try:
            info = await self._client.get_collection(collection)
        except UnexpectedResponse as error:
            if error.status_code == _NOT_FOUND:
                return False
            raise
        vectors = info.config.params.vectors
        params = vectors.get(DENSE) if isinstance(vectors, dict) else None
        recorded = (info.config.metadata or {}).get(MODEL_KEY)
        if params is None or params.size != self._dimension or recorded != self._model_id:
            raise StoreMismatch(
                f"Collection {collection} was filled with the embedding model {recorded or 'unknown'} "
                f"({params.size if params else 'no'} dimensions), not with {self._model_id} ({self._dimension}): "
                "delete the collection and ingest again, or configure its model."
            )
        self._checked.add(collection)
        return True

    async def _authors(self, collection: str) -> set[str]:
        try:
            found = await self._client.facet(collection, "author", facet_filter=self._filter(), limit=MAX_AUTHORS)
        except UnexpectedResponse as error:
            if error.status_code == _NOT_FOUND:
                return set()
            raise
        return {str(hit.value) for hit in found.hits}

    async def _scroll(self, collection: str) -> AsyncIterator[tuple[str, tuple[str, str]]]:
        offset = None
        while True:
            records, offset = await self._client.scroll(
                collection,
                scroll_filter=self._filter(),
                limit=SCROLL_PAGE,
                offset=offset,
                with_payload=["document_id", "content_hash"],
                with_vectors=False,
            )
            for record in records:
                payload = record.payload or {}
                yield str(record.id), (str(payload.get("document_id", "")), str(payload.get("content_hash", "")))
            if offset is None:
                return

    def _point(self, chunk: Chunk, vector: Vector) -> models.PointStruct:
        return models.PointStruct(
            id=chunk.id,
            vector={
                DENSE: vector.tolist(),
                SPARSE: models.Document(text=f"{chunk.title}\n{chunk.text}", model=SPARSE_MODEL),
            },
            payload={
                "document_id": chunk.document_id,
                "chunk_index": chunk.chunk_index,
                "title": chunk.title,
                "author": chunk.author,
                "text": chunk.text,
                "url": chunk.url,
                "content_hash": chunk.content_hash,
                "date": chunk.date or None,
                "language": chunk.language or None,
                "tenant": self.tenant,
            },
        )

    def _hit(self, collection: str, point: models.ScoredPoint) -> Hit:
        vectors = point.vector if isinstance(point.vector, dict) else {}
        vector = np.asarray(vectors.get(DENSE, np.zeros(self._dimension)), dtype=np.float32)
        return Hit(chunk_from_payload(str(point.id), point.payload or {}), collection, vector, point.score)


def _query(parts: Sequence[models.Prefetch]) -> dict[str, Any]:
    """One search as it is, with its own scores; several fused."""
    if len(parts) == 1:
        return {"query": parts[0].query, "using": parts[0].using}
    return {"prefetch": list(parts), "query": models.FusionQuery(fusion=models.Fusion.RRF)}


def _midnight(day: date | None) -> datetime | None:
    """The start of a day in UTC, as which Qdrant reads a date without a time."""
    return datetime.combine(day, time(), UTC) if day else None


@contextlib.contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except UnexpectedResponse as error:
        raise StoreUnavailable(f"The document store answered with status {error.status_code}.") from None
    except (ApiException, QdrantException, httpx.HTTPError, OSError) as error:
        cause = error.source if isinstance(error, ResponseHandlingException) else error
        raise StoreUnavailable(f"The document store cannot be reached ({type(cause).__name__}).") from None
