"""The interface of re-rankers, and a circuit breaker around one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from services.common.breaker import CircuitBreaker, CircuitOpen


class RerankFailed(Exception):
    """A re-ranker gave no scores; the message is one sentence that traces may show."""


class Scorer(Protocol):
    """Judges how well passages answer a question.

    Attributes:
        reranker_id: its name in answers and traces.
        max_candidates: most passages per call.
    """

    reranker_id: str
    max_candidates: int

    async def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """One score per text in their order, the higher the better.

        Raises:
            RerankFailed: there are no scores; the caller continues without them.
            Overloaded: too much CPU work is waiting.
        """
        ...


class GuardedScorer:
    """A scorer behind a circuit breaker, which counts `RerankFailed`: questions do not wait for one that is down."""

    def __init__(self, scorer: Scorer, breaker: CircuitBreaker) -> None:
        self._scorer = scorer
        self._breaker = breaker
        self.reranker_id = scorer.reranker_id
        self.max_candidates = scorer.max_candidates

    async def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """One score per text.

        Raises:
            RerankFailed: the scorer failed, or the breaker is open.
        """
        try:
            with self._breaker.call():
                return await self._scorer.score(query, texts)
        except CircuitOpen as error:
            raise RerankFailed(str(error)) from None
