"""The metrics as Opik's evaluation calls them."""

from __future__ import annotations

from typing import Any

from opik.evaluation.metrics import base_metric, score_result

from services.evaluation.metrics.embedding_metrics import Embed, answer_relevance, groundedness
from services.evaluation.metrics.summary import ANSWER_RELEVANCE, GROUNDEDNESS


class GroundednessMetric(base_metric.BaseMetric):  # type: ignore[misc]  # the SDK is untyped here
    """Scores `output` against `context`; gives no score for an answer without context."""

    def __init__(self, embed: Embed) -> None:
        super().__init__(name=GROUNDEDNESS, track=False)
        self._embed = embed

    def score(self, output: str, context: list[str], **_: Any) -> list[score_result.ScoreResult]:
        """The score in a list, or an empty list when the metric is not defined.

        Raises:
            ValueError: the answer has no text; Opik counts it as a failed score.
        """
        value = groundedness(output, context, self._embed)
        return [] if value is None else [score_result.ScoreResult(name=self.name, value=value)]


class AnswerRelevanceMetric(base_metric.BaseMetric):  # type: ignore[misc]  # the SDK is untyped here
    """Scores `output` against `query`."""

    def __init__(self, embed: Embed) -> None:
        super().__init__(name=ANSWER_RELEVANCE, track=False)
        self._embed = embed

    def score(self, output: str, query: str, **_: Any) -> score_result.ScoreResult:
        """The score.

        Raises:
            ValueError: the query or the answer has no text; Opik counts it as a failed score.
        """
        return score_result.ScoreResult(name=self.name, value=answer_relevance(query, output, self._embed))


def stored_answer(item: dict[str, Any]) -> dict[str, Any]:
    """The task of the evaluation: what the pipeline answered then, not what it would answer now.

    An exception here would end the whole run, so an item of another shape (somebody may edit the dataset by hand) gives
    empty texts, which every metric reports as a failed score.
    """
    expected = item.get("expected_output")
    given = item.get("input")
    answer = expected.get("answer") if isinstance(expected, dict) else None
    context = expected.get("context") if isinstance(expected, dict) else None
    query = given.get("query") if isinstance(given, dict) else None
    return {
        "output": answer if isinstance(answer, str) else "",
        "query": query if isinstance(query, str) else "",
        "context": [text for text in context if isinstance(text, str)] if isinstance(context, list) else [],
    }
