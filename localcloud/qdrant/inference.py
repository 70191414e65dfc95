"""Server-side inference: sparse BM25 vectors of texts, by the engine's own implementation."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

import qdrant_edge as edge
from qdrant_client.http import models
from qdrant_client.http.models import Bm25Config

from localcloud.qdrant.errors import engine_errors, unsupported, wrong_input

MODEL = "qdrant/bm25"
_OPTIONS = ("k", "b", "avg_len", "language", "lowercase", "ascii_folding", "min_token_len", "max_token_len")


def embed(document: models.Document, *, as_query: bool) -> edge.SparseVector:
    """The sparse vector of a text: term weights for a document, terms of equal weight for a query.

    Raises:
        QdrantError: 400 for another model or an unknown option.
    """
    if document.model.lower() != MODEL:
        raise wrong_input(f"Model `{document.model}` is not available; this server infers `{MODEL}` only.")
    encoder = _encoder(json.dumps(_options(document.options), sort_keys=True))
    return encoder.embed_query(document.text) if as_query else encoder.embed_document(document.text)


def _options(options: Mapping[str, Any] | Bm25Config | None) -> dict[str, Any]:
    if options is None:
        return {}
    given = options.model_dump(exclude_none=True) if isinstance(options, Bm25Config) else dict(options)
    for name in given:
        if name not in _OPTIONS:
            raise unsupported(f"The option `{name}` of {MODEL}")
    return given


@functools.lru_cache(maxsize=32)
def _encoder(options: str) -> edge.Bm25:
    with engine_errors():
        return edge.Bm25(edge.Bm25Config(**json.loads(options)))
