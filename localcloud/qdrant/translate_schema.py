"""Translation of collection parameters from the REST models to the engine's, and to the answer of `get_collection`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import qdrant_edge as edge
from qdrant_client.http import models

from localcloud.qdrant.errors import unsupported, validation_error, wrong_input

DEFAULT_VECTOR = ""
MAX_DIMENSION = 65535  # Qdrant's own bound of a dense vector

_DISTANCES = {
    models.Distance.COSINE: edge.Distance.Cosine,
    models.Distance.EUCLID: edge.Distance.Euclid,
    models.Distance.DOT: edge.Distance.Dot,
    models.Distance.MANHATTAN: edge.Distance.Manhattan,
}
_INDEX_TYPES = {
    models.PayloadSchemaType.KEYWORD: edge.PayloadSchemaType.Keyword,
    models.PayloadSchemaType.INTEGER: edge.PayloadSchemaType.Integer,
    models.PayloadSchemaType.FLOAT: edge.PayloadSchemaType.Float,
    models.PayloadSchemaType.TEXT: edge.PayloadSchemaType.Text,
    models.PayloadSchemaType.BOOL: edge.PayloadSchemaType.Bool,
    models.PayloadSchemaType.DATETIME: edge.PayloadSchemaType.Datetime,
    models.PayloadSchemaType.UUID: edge.PayloadSchemaType.Uuid,
}
# Values that a server of this version reports for settings that a request leaves out. They concern speed, not results.
_HNSW = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000, "max_indexing_threads": 0, "on_disk": False}
_OPTIMIZER = {
    "deleted_threshold": 0.2,
    "vacuum_min_vector_number": 1000,
    "default_segment_number": 0,
    "indexing_threshold": 10000,
    "flush_interval_sec": 5,
}
_WAL = {"wal_capacity_mb": 32, "wal_segments_ahead": 0, "wal_retain_closed": 1}


@dataclass(frozen=True)
class Schema:
    """Vectors of a collection.

    Attributes:
        dense: dimension by name.
        sparse: names of the sparse ones.
    """

    dense: dict[str, int]
    sparse: frozenset[str]

    @property
    def unnamed(self) -> bool:
        """Whether the collection has one dense vector without a name."""
        return DEFAULT_VECTOR in self.dense


def schema_of(request: models.CreateCollection) -> Schema:
    """Names and dimensions of the vectors of a new collection.

    Raises:
        QdrantError: 422 for a dimension out of range, 400 for vectors that this server does not support.
    """
    dense: dict[str, int] = {}
    for name, params in _dense(request).items():
        if not 1 <= params.size <= MAX_DIMENSION:
            raise validation_error(f"vectors.size: value {params.size} invalid, must be from 1 to {MAX_DIMENSION}")
        if params.multivector_config is not None:
            raise unsupported("A multivector")
        dense[name] = params.size
    sparse = frozenset(request.sparse_vectors or {})
    if clash := sparse & set(dense):
        raise wrong_input(f"Vector names must be unique: {', '.join(sorted(clash))}.")
    return Schema(dense, sparse)


def edge_config(request: models.CreateCollection) -> edge.EdgeConfig:
    """The engine's configuration of a new collection, without index and storage settings, which only change speed."""
    dense = {name: edge.EdgeVectorParams(p.size, _DISTANCES[p.distance]) for name, p in _dense(request).items()}
    sparse = {
        name: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf if p.modifier is models.Modifier.IDF else None)
        for name, p in (request.sparse_vectors or {}).items()
    }
    return edge.EdgeConfig(vectors=dense or None, sparse_vectors=sparse or None)


def collection_config(request: models.CreateCollection) -> dict[str, Any]:
    """The `config` of `get_collection`: settings of the creating request, and a server's defaults for the others."""
    asked = request.model_dump(mode="json", exclude_none=True, by_alias=True)
    params: dict[str, Any] = {
        "vectors": asked.get("vectors", {}),
        "shard_number": 1,
        "replication_factor": 1,
        "write_consistency_factor": 1,
        "on_disk_payload": True,
    }
    if "sparse_vectors" in asked:
        params["sparse_vectors"] = asked["sparse_vectors"]
    config: dict[str, Any] = {
        "params": params,
        "hnsw_config": _HNSW | asked.get("hnsw_config", {}),
        "optimizer_config": _OPTIMIZER | asked.get("optimizers_config", {}),
        "wal_config": _WAL | asked.get("wal_config", {}),
        "quantization_config": None,
    }
    if "metadata" in asked:
        config["metadata"] = asked["metadata"]
    return config


def index_type(schema: models.PayloadFieldSchema | None) -> edge.PayloadSchemaType:
    """The engine's type of a payload index; its parameters, which only change speed, are left out.

    Raises:
        QdrantError: 400 without a type, or for a type that this server does not support.
    """
    if schema is None:
        raise wrong_input("field_schema is required.")
    kind = models.PayloadSchemaType(schema if isinstance(schema, str) else schema.type.value)
    if kind not in _INDEX_TYPES:
        raise unsupported(f"A payload index of type {kind.value}")
    return _INDEX_TYPES[kind]


def _dense(request: models.CreateCollection) -> dict[str, models.VectorParams]:
    if request.vectors is None:
        return {}
    return request.vectors if isinstance(request.vectors, dict) else {DEFAULT_VECTOR: request.vectors}
