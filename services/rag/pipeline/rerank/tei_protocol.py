"""The body of Text Embeddings Inference's `POST /rerank`, which its SageMaker containers take as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from services.rag.pipeline.rerank.base import RerankFailed

# The server's default for the texts of one request (--max-client-batch-size).
MAX_TEXTS = 32


class _Rank(BaseModel):
    index: int
    score: float


_RANKS = TypeAdapter(list[_Rank])


def request_body(query: str, texts: Sequence[str]) -> dict[str, Any]:
    """The request; a text that is too long for the model is cut instead of refused."""
    return {"query": query, "texts": list(texts), "truncate": True}


def scores_of(body: bytes, count: int) -> list[float]:
    """Scores in the order of the texts, out of `[{"index", "score"}]` in any order.

    Raises:
        RerankFailed: the answer is something else, or not one score per text.
    """
    try:
        ranks = _RANKS.validate_json(body)
    except ValidationError:
        raise RerankFailed("The re-ranker's answer is not a list of index and score.") from None
    scores = {rank.index: rank.score for rank in ranks}
    if scores.keys() != set(range(count)):
        raise RerankFailed("The re-ranker's answer does not hold one score per text.")
    return [scores[index] for index in range(count)]
