"""Operations on a collection's points. They block, and return values that JSON can represent.

Every operation raises QdrantError with status 400 or 422 for a request that does not fit the collection, 404 for a
collection that was deleted meanwhile, and 500 for a failure of the engine.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import qdrant_edge as edge
from qdrant_client.http import models

from localcloud.qdrant.engine import Collection
from localcloud.qdrant.errors import QdrantError, wrong_input
from localcloud.qdrant.translate_filter import edge_filter, required_filter
from localcloud.qdrant.translate_points import (
    check_name,
    edge_payload_selector,
    edge_points,
    edge_vector_selector,
    point_id,
    update_mode,
    wire_id,
    wire_record,
    wire_scored,
)
from localcloud.qdrant.translate_query import QueryTranslator, edge_order, limit_of
from localcloud.qdrant.translate_schema import collection_config, index_type


def describe(collection: Collection) -> dict[str, Any]:
    """Result of `GET /collections/{name}`: status, counts, configuration and payload indexes."""
    with collection.use() as shard:
        info = shard.info()
    return {
        "status": "green",
        "optimizer_status": "ok",
        "indexed_vectors_count": info.indexed_vectors_count,
        "points_count": info.points_count,
        "segments_count": info.segments_count,
        "config": collection_config(collection.request),
        "payload_schema": {
            field: {"data_type": str(index.data_type).rsplit(".", 1)[-1].lower(), "points": index.points}
            for field, index in info.payload_schema.items()
        },
    }


def upsert(collection: Collection, request: models.PointInsertOperations) -> int:
    """Write points, replacing those with the same id. Returns the operation's number."""
    points = edge_points(request, collection.schema)
    if not points:
        raise wrong_input("Empty update request")
    condition = edge_filter(request.update_filter)
    operation = edge.UpdateOperation.upsert_points(points, condition, update_mode(request.update_mode))
    return collection.update(operation)


def delete(collection: Collection, request: models.PointsSelector) -> int:
    """Delete points by id or by filter. Returns the operation's number."""
    if isinstance(request, models.FilterSelector):
        return collection.update(edge.UpdateOperation.delete_points_by_filter(required_filter(request.filter)))
    ids: list[int | UUID | str] = [point_id(value) for value in request.points]
    return collection.update(edge.UpdateOperation.delete_points(ids))


def create_index(collection: Collection, request: models.CreateFieldIndex) -> int:
    """Index a payload field; an index of the same type is kept. Returns the operation's number."""
    return collection.update(
        edge.UpdateOperation.create_field_index(request.field_name, index_type(request.field_schema))
    )


def delete_index(collection: Collection, field: str) -> int:
    """Drop a payload index. Returns the operation's number."""
    return collection.update(edge.UpdateOperation.delete_field_index(field))


def query(collection: Collection, request: models.QueryRequest) -> dict[str, Any]:
    """Answer one universal query: `points`, best first, each with id, score and what was selected."""
    return query_batch(collection, [request])[0]


def query_batch(collection: Collection, requests: list[models.QueryRequest]) -> list[dict[str, Any]]:
    """Answer several queries, in their order; a query that is refused fails all."""

    def vector_of(key: Any, name: str) -> Any:
        """The vector of that name of a stored point; 404 without the point or the vector."""
        check_name(name, collection.schema)
        with collection.use() as shard:
            found = shard.retrieve([key], False, True)
        vectors = found[0].vector if found else None
        vector = vectors.get(name) if isinstance(vectors, dict) else vectors
        if vector is None:
            raise QdrantError(404, f"Not found: No point with id {key} found")
        return vector

    translator = QueryTranslator(collection.schema, vector_of)
    translated = [translator.request(request) for request in requests]
    with collection.use() as shard:
        results = [shard.query(one) for one in translated]
    return [{"points": [wire_scored(point, collection.schema) for point in found]} for found in results]


def scroll(collection: Collection, request: models.ScrollRequest) -> dict[str, Any]:
    """One page of points in the order of their ids or of a payload field, and the id that the next page begins with."""
    given = edge.ScrollRequest(
        offset=None if request.offset is None else point_id(request.offset),
        limit=limit_of(request.limit),
        filter=edge_filter(request.filter),
        with_payload=edge_payload_selector(request.with_payload, default=True),
        with_vector=edge_vector_selector(request.with_vector, collection.schema),
        order_by=None if request.order_by is None else edge_order(request.order_by),
    )
    with collection.use() as shard:
        records, following = shard.scroll(given)
    return {
        "points": [wire_record(record, collection.schema) for record in records],
        "next_page_offset": None if following is None else wire_id(following),
    }


def retrieve(collection: Collection, request: models.PointRequest) -> list[dict[str, Any]]:
    """Points with these ids; ids that do not exist are left out."""
    with collection.use() as shard:
        records = shard.retrieve(
            [point_id(value) for value in request.ids],
            edge_payload_selector(request.with_payload, default=True),
            edge_vector_selector(request.with_vector, collection.schema),
        )
    return [wire_record(record, collection.schema) for record in records]


def count(collection: Collection, request: models.CountRequest) -> dict[str, int]:
    """Exact number of points that match."""
    where = edge_filter(request.filter)
    with collection.use() as shard:
        return {"count": shard.count(edge.CountRequest(exact=True, filter=where))}


def facet(collection: Collection, request: models.FacetRequest) -> dict[str, Any]:
    """Values of an indexed payload field with the number of points of each, most frequent first."""
    given = edge.FacetRequest(
        request.key, limit_of(request.limit), exact=bool(request.exact), filter=edge_filter(request.filter)
    )
    with collection.use() as shard:
        hits = shard.facet(given).hits
    return {"hits": [{"value": hit.value, "count": hit.count} for hit in hits]}
