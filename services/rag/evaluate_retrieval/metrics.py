"""Figures of a ranking for one question, with binary relevance: a document answers the question or it does not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet


def recall(ranked: Sequence[str], relevant: AbstractSet[str], k: int) -> float:
    """Recall at k: the share of the relevant documents (at least one) among the first k.

    Manning, Raghavan and Schütze, Introduction to Information Retrieval (2008), section 8.4. `ranked` holds document
    ids, best first, each once.
    """
    return len(relevant & set(ranked[:k])) / len(relevant)


def reciprocal_rank(ranked: Sequence[str], relevant: AbstractSet[str]) -> float:
    """1 / rank of the first relevant document, 0 when there is none; its mean over questions is the MRR.

    Voorhees, The TREC-8 Question Answering Track Report (1999).
    """
    return next((1 / rank for rank, document in enumerate(ranked, 1) if document in relevant), 0.0)


def ndcg(ranked: Sequence[str], relevant: AbstractSet[str], k: int) -> float:
    """Normalised discounted cumulative gain at k: DCG / ideal DCG, DCG = sum of relevance / log2(rank + 1).

    Järvelin and Kekäläinen, Cumulated gain-based evaluation of IR techniques, ACM TOIS 20(4) (2002), with the discount
    log2(rank + 1) that is usual since. The ideal ranking holds all relevant documents first.
    """
    gained = sum(1 / math.log2(rank + 1) for rank, document in enumerate(ranked[:k], 1) if document in relevant)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(len(relevant), k) + 1))
    return gained / ideal
