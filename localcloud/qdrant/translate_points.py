"""Translation of points (ids, vectors, payloads) from the REST models to the engine's and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import qdrant_edge as edge
from qdrant_client.http import models

from localcloud.qdrant.errors import format_error, unsupported, validation_error, wrong_input
from localcloud.qdrant.inference import embed
from localcloud.qdrant.translate_schema import DEFAULT_VECTOR, Schema

MAX_ID = 2**64 - 1
_FLOAT32_MAX = 3.4028234663852886e38
_MODES = {
    models.UpdateMode.UPSERT: edge.UpdateMode.Upsert,
    models.UpdateMode.INSERT_ONLY: edge.UpdateMode.InsertOnly,
    models.UpdateMode.UPDATE_ONLY: edge.UpdateMode.UpdateOnly,
}


def point_id(value: Any) -> int | UUID:
    """The engine's form of a point id.

    Raises:
        QdrantError: 400 unless it is an unsigned integer or a UUID.
    """
    if isinstance(value, UUID):
        return value
    if isinstance(value, int) and 0 <= value <= MAX_ID:
        return value
    if isinstance(value, str):
        try:
            return UUID(value)
        except ValueError:
            pass
    raise format_error(f"value {value} is not a valid point ID, valid values are either an unsigned integer or a UUID")


def wire_id(value: int | UUID | str) -> int | str:
    """JSON form of a point id."""
    return value if isinstance(value, int) else str(value)


def edge_points(request: models.PointInsertOperations, schema: Schema) -> list[edge.Point]:
    """The engine's points of an upsert; vectors are checked against the collection, texts are turned into vectors.

    Everything is checked before the engine gets it, because the engine keeps the id of a point that it refuses.

    Raises:
        QdrantError: 400 or 422, with what does not fit.
    """
    return [
        edge.Point(point_id(key), _vectors(vector, schema), payload or {}) for key, vector, payload in _rows(request)
    ]


def update_mode(mode: models.UpdateMode | None) -> edge.UpdateMode | None:
    """The engine's mode for points that exist already; None is its default."""
    return None if mode is None else _MODES[mode]


def check_name(name: str, schema: Schema) -> None:
    """Refuse a vector name that the collection does not have.

    Raises:
        QdrantError: 400.
    """
    if name not in schema.dense and name not in schema.sparse:
        raise wrong_input(f"Not existing vector name error: {name}")


def edge_vector(value: Any, name: str, schema: Schema, *, as_query: bool) -> Any:
    """The engine's form of one named vector: a list of floats when dense, its sparse vector when sparse.

    Args:
        value: vector, sparse vector or text of the request.
        name: vector name, empty for the one without a name.
        schema: vectors of the collection.
        as_query: whether a text is embedded as a query instead of as a document.

    Raises:
        QdrantError: 400 or 422, with what does not fit.
    """
    check_name(name, schema)
    if isinstance(value, models.Document):
        if name in schema.dense:
            raise wrong_input(f"Vector `{name}` is dense; `{value.model}` makes sparse vectors.")
        return embed(value, as_query=as_query)
    if isinstance(value, models.SparseVector):
        if name in schema.dense:
            raise wrong_input(f"Conversion between sparse and regular vectors failed for `{name}`.")
        return _sparse(value)
    if not isinstance(value, list) or (value and isinstance(value[0], list)):
        raise unsupported(f"A vector given as {type(value).__name__ if not isinstance(value, list) else 'a matrix'}")
    if name in schema.sparse:
        raise wrong_input(f"Conversion between sparse and regular vectors failed for `{name}`.")
    if len(value) != schema.dense[name]:
        raise wrong_input(f"Vector dimension error: expected dim: {schema.dense[name]}, got {len(value)}")
    return _finite(value)


def wire_record(record: Any, schema: Schema) -> dict[str, Any]:
    """JSON form of a record of a scroll or a retrieval."""
    shown: dict[str, Any] = {"id": wire_id(record.id)}
    if record.payload is not None:
        shown["payload"] = record.payload
    if record.vector is not None:
        shown["vector"] = _wire_vectors(record.vector, schema)
    if record.order_value is not None:
        shown["order_value"] = record.order_value
    return shown


def wire_scored(point: Any, schema: Schema) -> dict[str, Any]:
    """JSON form of a search hit."""
    return wire_record(point, schema) | {"version": point.version, "score": point.score}


def edge_payload_selector(given: models.WithPayloadInterface | None, *, default: bool) -> Any:
    """The engine's selection of payload fields: a selector, or whether to return all of them."""
    match given:
        case None:
            return default
        case models.PayloadSelectorInclude():
            return edge.PayloadSelector.Include(given.include)
        case models.PayloadSelectorExclude():
            return edge.PayloadSelector.Exclude(given.exclude)
        case _:
            return given


def edge_vector_selector(given: models.WithVector | None, schema: Schema) -> bool | list[str]:
    """The engine's selection of vectors: names, or whether to return all of them.

    Raises:
        QdrantError: 400 for a name that the collection does not have.
    """
    if isinstance(given, list):
        for name in given:
            check_name(name, schema)
        return list(given)
    return bool(given)


def _rows(request: models.PointInsertOperations) -> Iterator[tuple[Any, Any, dict[str, Any] | None]]:
    if isinstance(request, models.PointsList):
        for point in request.points:
            yield point.id, point.vector, point.payload
        return
    batch = request.batch
    count = len(batch.ids)
    vectors = batch.vectors
    columns = list(vectors.values()) if isinstance(vectors, dict) else [vectors]
    if any(len(column) != count for column in columns) or (batch.payloads and len(batch.payloads) != count):
        raise validation_error("batch: number of ids, vectors and payloads must be the same")
    for row, key in enumerate(batch.ids):
        vector = {n: column[row] for n, column in vectors.items()} if isinstance(vectors, dict) else vectors[row]
        yield key, vector, batch.payloads[row] if batch.payloads else None


def _vectors(given: Any, schema: Schema) -> Any:
    if isinstance(given, dict):
        return {name: edge_vector(value, name, schema, as_query=False) for name, value in given.items()}
    return edge_vector(given, DEFAULT_VECTOR, schema, as_query=False)


def _sparse(given: models.SparseVector) -> edge.SparseVector:
    if len(given.indices) != len(given.values):
        raise validation_error("values: must be the same length as indices")
    pairs = sorted(zip(given.indices, _finite(given.values), strict=True))
    indices = [index for index, _ in pairs]
    if len(set(indices)) != len(indices):
        raise validation_error("indices: must be unique")
    if indices and not (indices[0] >= 0 and indices[-1] < 2**32):
        raise validation_error("indices: must be unsigned 32-bit integers")
    return edge.SparseVector(indices, [value for _, value in pairs])


def _finite(values: list[float]) -> list[float]:
    # Comparisons with NaN are false, so NaN is refused, too.
    if not all(-_FLOAT32_MAX <= value <= _FLOAT32_MAX for value in values):
        raise wrong_input("A vector holds a value that is not a finite 32-bit number.")
    return values


def _wire_vectors(given: Any, schema: Schema) -> Any:
    if not isinstance(given, dict):
        return given
    shown = {name: _wire_vector(value) for name, value in given.items()}
    return shown[DEFAULT_VECTOR] if schema.unnamed and set(shown) == {DEFAULT_VECTOR} else shown


def _wire_vector(value: Any) -> Any:
    if isinstance(value, edge.SparseVector):
        return {"indices": list(value.indices), "values": list(value.values)}
    return value
