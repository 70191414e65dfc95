"""Ranks candidates: the blend first, then a scorer for the best of it; a scorer that fails leaves the blend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.rag.embeddings.pool import CpuPool
from services.rag.pipeline.rerank.blend import BLEND_ID, blend
from services.rag.pipeline.rerank.scorer import RerankFailed, Scorer
from services.rag.stores.documents import Hit, Vector


@dataclass(frozen=True)
class Ranking:
    """Ranked hits, with the re-ranker that was used.

    Attributes:
        hits: best first; hits beyond a scorer's limit follow in the blend's order with a score of 0.
        reranker_id: of the re-ranker that was used: the blend when the configured scorer failed.
        degraded: one sentence about why the configured scorer was not used; None when it was.
    """

    hits: list[Hit]
    reranker_id: str
    degraded: str | None = None


class Reranking:
    """The configured way to rank; safe for concurrent use."""

    def __init__(self, pool: CpuPool, scorer: Scorer | None = None) -> None:
        """Keep the parts.

        Args:
            pool: runs the blend.
            scorer: orders the best candidates of the blend; None keeps the blend's order.
        """
        self._pool = pool
        self._scorer = scorer

    @property
    def reranker_id(self) -> str:
        """Id of the configured re-ranker."""
        return self._scorer.reranker_id if self._scorer else BLEND_ID

    async def rank(self, query: str, vector: Vector, hits: Sequence[Hit], top_k: int) -> Ranking:
        """The `top_k` best hits.

        Args:
            query: the question.
            vector: its embedding, of length 1.
            hits: candidates with their embeddings.
            top_k: most hits to keep.

        Raises:
            Overloaded: too much CPU work is waiting.
        """
        blended = await self._pool.run(blend, query, vector, hits)
        if self._scorer is None or not blended:
            return Ranking(blended[:top_k], BLEND_ID)
        best, rest = blended[: self._scorer.max_candidates], blended[self._scorer.max_candidates :]
        try:
            scores = await self._scorer.score(query, [f"{hit.chunk.title}\n{hit.chunk.text}" for hit in best])
        except RerankFailed as error:
            return Ranking(blended[:top_k], BLEND_ID, str(error))
        scored = [replace(hit, score=score) for hit, score in zip(best, scores, strict=True)]
        # sorted() is stable: hits with equal scores stay in the blend's order.
        ranked = sorted(scored, key=lambda hit: hit.score, reverse=True)
        unscored = [replace(hit, score=0.0) for hit in rest]
        return Ranking([*ranked, *unscored][:top_k], self._scorer.reranker_id)
