"""The blend of cosine and BM25: the default re-ranker, and the fallback of every other one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from services.rag.pipeline.understand.words import keywords
from services.rag.stores.documents import Hit, Vector

BLEND_ID = "blend-0.7-cosine-0.3-bm25"
COSINE_WEIGHT = 0.7
BM25_WEIGHT = 0.3
K1 = 1.2
B = 0.75


def blend(query: str, query_vector: Vector, hits: Sequence[Hit]) -> list[Hit]:
    """The hits by 0.7 cosine + 0.3 BM25, best first; their score becomes the blend (at most 1).

    Args:
        query: the question.
        query_vector: its embedding, of length 1.
        hits: candidates with embeddings of length 1. Term statistics of BM25 are those of the candidates.
    """
    lexical = bm25(query, [f"{hit.chunk.title} {hit.chunk.text}" for hit in hits])
    highest = max(lexical, default=0.0) or 1.0
    scored = [
        replace(
            hit,
            score=COSINE_WEIGHT * float(query_vector @ hit.vector) + BM25_WEIGHT * score / highest,
        )
        for hit, score in zip(hits, lexical, strict=True)
    ]
    return sorted(scored, key=lambda hit: hit.score, reverse=True)


def bm25(query: str, texts: Sequence[str]) -> list[float]:
    """Okapi BM25 of each text for the query, with term statistics of these texts."""
    documents = [Counter(_terms(text)) for text in texts]
    lengths = [sum(document.values()) for document in documents]
    mean = sum(lengths) / len(lengths) if lengths and sum(lengths) else 1.0
    scores = [0.0] * len(documents)
    for term in set(_terms(query)):
        containing = sum(term in document for document in documents)
        idf = math.log(1 + (len(documents) - containing + 0.5) / (containing + 0.5))
        for index, document in enumerate(documents):
            frequency = document[term]
            scores[index] += idf * frequency * (K1 + 1) / (frequency + K1 * (1 - B + B * lengths[index] / mean))
    return scores


def _terms(text: str) -> list[str]:
    return keywords(text.casefold())
