"""Translation of universal queries (vectors, prefetch, fusion, order, sampling) to the engine's form."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID

import qdrant_edge as edge
from qdrant_client.http import models

from localcloud.qdrant.errors import unsupported, validation_error, wrong_input
from localcloud.qdrant.translate_filter import edge_filter
from localcloud.qdrant.translate_points import edge_payload_selector, edge_vector, edge_vector_selector, point_id
from localcloud.qdrant.translate_schema import DEFAULT_VECTOR, Schema

DEFAULT_LIMIT = 10
RRF_K = 2
"""Qdrant's default constant of reciprocal rank fusion."""

VectorOf = Callable[[Any, str], Any]
"""Stored vector of a point by id and vector name; raises QdrantError when there is none."""


class QueryTranslator:
    """Translates queries of one collection; a point id as a query becomes that point's vector."""

    def __init__(self, schema: Schema, vector_of: VectorOf) -> None:
        self._schema = schema
        self._vector_of = vector_of

    def request(self, given: models.QueryRequest) -> edge.QueryRequest:
        """The engine's form of a whole request.

        Raises:
            QdrantError: 400 or 422, with what does not fit or is not supported; 404 for the id of an unknown point.
        """
        _refuse_lookup(given)
        prefetches = self._prefetches(given.prefetch)
        query, where = self._query(given.query, given.using, edge_filter(given.filter), has_prefetch=bool(prefetches))
        return edge.QueryRequest(
            limit=limit_of(given.limit),
            offset=given.offset or 0,
            query=query,
            prefetches=prefetches,
            with_vector=edge_vector_selector(given.with_vector, self._schema),
            with_payload=edge_payload_selector(given.with_payload, default=False),
            filter=where,
            score_threshold=given.score_threshold,
            params=_params(given.params),
        )

    def _prefetches(self, given: list[models.Prefetch] | models.Prefetch | None) -> list[edge.Prefetch]:
        if given is None:
            return []
        return [self._prefetch(one) for one in (given if isinstance(given, list) else [given])]

    def _prefetch(self, given: models.Prefetch) -> edge.Prefetch:
        _refuse_lookup(given)
        inner = self._prefetches(given.prefetch)
        query, where = self._query(given.query, given.using, edge_filter(given.filter), has_prefetch=bool(inner))
        return edge.Prefetch(
            limit=limit_of(given.limit),
            query=query,
            prefetches=inner,
            params=_params(given.params),
            filter=where,
            score_threshold=given.score_threshold,
        )

    def _query(self, given: Any, using: str | None, where: Any, *, has_prefetch: bool) -> tuple[Any, Any]:
        """The engine's query and filter; the filter of a query by point id leaves out that point."""
        name = using or DEFAULT_VECTOR
        match given:
            case None:
                if has_prefetch:
                    raise wrong_input("Query is required for merging prefetches.")
                return None, where
            case models.FusionQuery() | models.RrfQuery():
                if not has_prefetch:
                    raise wrong_input("Fusion query requires at least one prefetch.")
                return _fusion(given), where
            case models.OrderByQuery():
                return edge_order(given.order_by), where
            case models.SampleQuery():
                return edge.Sample.Random, where
            case models.NearestQuery():
                if given.mmr is not None:
                    raise unsupported("Maximal marginal relevance")
                return self._query(given.nearest, using, where, has_prefetch=has_prefetch)
            case list() | models.SparseVector() | models.Document():
                vector = edge_vector(given, name, self._schema, as_query=True)
                return edge.Query.Nearest(vector, using), where
            case int() | str() | UUID():
                key = point_id(given)
                others = edge.Filter(must=[where] if where else None, must_not=[edge.HasIdCondition({key})])
                return edge.Query.Nearest(self._vector_of(key, name), using), others
            case _:
                raise unsupported(f"The query {type(given).__name__}")


def edge_order(given: models.OrderByInterface) -> edge.OrderBy:
    """The engine's order by a payload field, which needs a range index.

    Raises:
        QdrantError: 400 for a start value that the engine does not take.
    """
    if isinstance(given, str):
        return edge.OrderBy(given)
    down = given.direction is models.Direction.DESC
    asked = given.start_from
    start = asked.isoformat() if isinstance(asked, date) else asked
    return edge.OrderBy(given.key, edge.Direction.Desc if down else edge.Direction.Asc, start)


def limit_of(value: int | None) -> int:
    """Number of results, `DEFAULT_LIMIT` without a value.

    Raises:
        QdrantError: 422 for a value below 1.
    """
    if value is None:
        return DEFAULT_LIMIT
    if value < 1:
        raise validation_error(f"limit: value {value} invalid, must be 1 or larger")
    return value


def _fusion(given: models.FusionQuery | models.RrfQuery) -> Any:
    if isinstance(given, models.RrfQuery):
        return edge.Fusion.Rrf(given.rrf.k or RRF_K, given.rrf.weights)
    return edge.Fusion.Dbsf() if given.fusion is models.Fusion.DBSF else edge.Fusion.Rrf(RRF_K)


def _params(given: models.SearchParams | None) -> edge.SearchParams | None:
    if given is None:
        return None
    return edge.SearchParams(hnsw_ef=given.hnsw_ef, exact=bool(given.exact), indexed_only=bool(given.indexed_only))


def _refuse_lookup(given: models.QueryRequest | models.Prefetch) -> None:
    if given.lookup_from is not None:
        raise unsupported("Looking vectors up in another collection")
