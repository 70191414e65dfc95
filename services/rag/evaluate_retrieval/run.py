"""Runs labelled questions through the service's own retrieval, in every mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from services.common.bootstrap import CONFIDENCE, RESAMPLES, SEED, paired_difference
from services.common.breaker import CircuitBreaker
from services.common.tracing import Trace
from services.rag.embeddings.pool import CpuPool
from services.rag.evaluate_retrieval.labels import LabelError, LabelledQuery
from services.rag.evaluate_retrieval.metrics import ndcg, recall, reciprocal_rank
from services.rag.pipeline.rerank.ranking import Reranking
from services.rag.pipeline.retrieve import Retriever, SearchMode
from services.rag.pipeline.understand.base import NoUnderstanding, QueryUnderstanding
from services.rag.stores.documents import COLLECTIONS
from services.rag.stores.qdrant import QdrantStore

BASELINE = "dense"
NDCG_AT = 10
WORST = 5

Progress = Callable[[int, int], None]


def retrievers(
    store: QdrantStore, pool: CpuPool, understanding: QueryUnderstanding, reranking: Reranking, candidates: int
) -> dict[str, Retriever]:
    """The modes that are compared: name -> retriever.

    The first four take questions as they are, so that only search and order differ. `service` is what callers get: the
    last of them with query understanding (variants, and the filters that a question contains).
    """

    # One question after the other: a store that fails is an error at once, without a circuit breaker.
    breaker = CircuitBreaker("store", ())

    def retriever(mode: SearchMode, order: Reranking | None, asks: QueryUnderstanding | None = None) -> Retriever:
        return Retriever(
            store,
            pool,
            asks or NoUnderstanding(),
            order,
            breaker=breaker,
            top_k=candidates,
            candidates=candidates,
            mode=mode,
        )

    return {
        "dense": retriever("dense", None),
        "sparse": retriever("sparse", None),
        "hybrid": retriever("hybrid", None),
        "hybrid+rerank": retriever("hybrid", reranking),
        "service": retriever("hybrid", reranking, understanding),
    }


async def evaluate(
    labels: Sequence[LabelledQuery],
    modes: Mapping[str, Retriever],
    ks: Sequence[int],
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Figures of every mode over all questions.

    Args:
        labels: the questions.
        modes: name -> retriever; `dense` is what the others are compared with.
        ks: where recall is measured.
        progress: called with (retrievals done, retrievals in all).

    Returns:
        `queries`, `ndcg_at`, `confidence`, `resamples`, `seed`, and `modes`: name -> `means` (figure -> mean over
        questions),
        `against_dense` (figure -> `mean`, `low`, `high` of the paired difference), `degraded` (questions that fell back
        for want of a model) and `worst` (questions with the lowest nDCG).

    Raises:
        StoreUnavailable, StoreMismatch: the store failed or belongs to another embedding model.
    """
    notify = progress or (lambda _done, _total: None)
    figures: dict[str, dict[str, list[float]]] = {}
    degraded: dict[str, int] = {}
    done = 0
    for name, retriever in modes.items():
        figures[name], degraded[name] = {}, 0
        for label in labels:
            ranked, fell_back = await _documents(retriever, label)
            degraded[name] += fell_back
            for figure, value in _figures(ranked, label, ks).items():
                figures[name].setdefault(figure, []).append(value)
            done += 1
            notify(done, len(labels) * len(modes))
    return {
        "queries": len(labels),
        "ndcg_at": NDCG_AT,
        "confidence": CONFIDENCE,
        "resamples": RESAMPLES,
        "seed": SEED,
        "modes": {
            name: {
                "means": {figure: sum(values) / len(values) for figure, values in of_mode.items()},
                "against_dense": {
                    figure: asdict(paired_difference(values, figures[BASELINE][figure]))
                    for figure, values in of_mode.items()
                    if name != BASELINE
                },
                "degraded": degraded[name],
                "worst": _worst(labels, of_mode[f"ndcg@{NDCG_AT}"]),
            }
            for name, of_mode in figures.items()
        },
    }


async def check_labels(labels: Sequence[LabelledQuery], store: QdrantStore) -> None:
    """Check that the store holds every document that a label names: a figure over missing ones would say nothing.

    Raises:
        LabelError: documents are missing.
        StoreUnavailable: the store failed.
    """
    held = set().union(*[await store.document_ids(collection) for collection in COLLECTIONS])
    missing = sorted({document for label in labels for document in label.relevant} - held)
    if missing:
        raise LabelError(
            f"The store does not hold {len(missing)} of the labelled documents, for example {missing[0]}: "
            "ingest them first."
        )


async def _documents(retriever: Retriever, label: LabelledQuery) -> tuple[list[str], bool]:
    """Ids of the documents found, best first, each at its best chunk; and whether a step fell back."""
    trace = Trace("evaluate_retrieval")
    hits = await retriever.retrieve(label.query, label.author, trace.span("evaluate_retrieval"))
    fell_back = any(
        span.metadata.get("method") == "degraded" or span.metadata.get("degraded") is not None for span in trace.spans
    )
    return list(dict.fromkeys(hit.chunk.document_id for hit in hits)), fell_back


def _figures(ranked: Sequence[str], label: LabelledQuery, ks: Sequence[int]) -> dict[str, float]:
    return {
        **{f"recall@{k}": recall(ranked, label.relevant, k) for k in ks},
        "mrr": reciprocal_rank(ranked, label.relevant),
        f"ndcg@{NDCG_AT}": ndcg(ranked, label.relevant, NDCG_AT),
    }


def _worst(labels: Sequence[LabelledQuery], values: Sequence[float]) -> list[dict[str, Any]]:
    order = sorted(range(len(values)), key=lambda index: values[index])[:WORST]
    return [{"query": labels[index].query, "ndcg": round(values[index], 4)} for index in order]
