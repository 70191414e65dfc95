"""What a re-ranker is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class RerankFailed(Exception):
    """A re-ranker gave no scores; the message is one sentence that traces may show."""


class Scorer(Protocol):
    """Judges how well passages answer a question.

    Attributes:
        reranker_id: what answers and traces call it.
        max_candidates: most passages per call.
    """

    reranker_id: str
    max_candidates: int

    async def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """One score per text in their order, the higher the better.

        Raises:
            RerankFailed: there are no scores; the caller goes on without.
            Overloaded: too much CPU work is waiting.
        """
        ...
