"""Leaves a remote re-ranker alone that keeps failing, so that questions do not wait for it one by one."""

from __future__ import annotations

from collections.abc import Sequence

from services.common.breaker import CircuitBreaker, CircuitOpen
from services.rag.pipeline.rerank.base import RerankFailed, Scorer


class GuardedScorer:
    """A scorer behind a circuit breaker that counts `RerankFailed`."""

    def __init__(self, scorer: Scorer, breaker: CircuitBreaker) -> None:
        self._scorer = scorer
        self._breaker = breaker
        self.reranker_id = scorer.reranker_id
        self.max_candidates = scorer.max_candidates

    async def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """One score per text.

        Raises:
            RerankFailed: the scorer failed, or is left alone.
        """
        try:
            with self._breaker.call():
                return await self._scorer.score(query, texts)
        except CircuitOpen as error:
            raise RerankFailed(str(error)) from None
