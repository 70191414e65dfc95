"""The metrics as Opik's evaluation calls them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opik.evaluation.metrics import base_metric, score_result

from services.evaluation.metrics.embedding_metrics import Embed, answer_relevance, groundedness
from services.evaluation.metrics.summary import ANSWER_RELEVANCE, GROUNDEDNESS


class TextMetric(base_metric.BaseMetric):  # type: ignore[misc]  # the SDK is untyped here
    """A metric of `output`, `query` and `context` that never raises.

    Opik's own handling of a metric's exception needs the `openai` package, which the slim installation leaves out: an
    exception would end the whole run. A failure is therefore returned as Opik's failed score, and counted.
    """

    def __init__(self, name: str, compute: Callable[[str, str, list[str]], float | None]) -> None:
        super().__init__(name=name, track=False)
        self._compute = compute

    def score(self, output: str, query: str, context: list[str], **_: Any) -> list[score_result.ScoreResult]:
        """The score in a list; a failed score when it cannot be computed; an empty list when it is not defined."""
        try:
            value = self._compute(output, query, context)
        except Exception as problem:  # noqa: BLE001 - whatever fails for one answer must not end the run of all
            reason = f"{type(problem).__name__}: {problem}"
            return [score_result.ScoreResult(name=self.name, value=0.0, reason=reason, scoring_failed=True)]
        return [] if value is None else [score_result.ScoreResult(name=self.name, value=value)]


def build_metrics(embed: Embed) -> list[TextMetric]:
    """The metrics of the monitoring run over an embedding function."""
    return [
        TextMetric(GROUNDEDNESS, lambda output, _query, context: groundedness(output, context, embed)),
        TextMetric(ANSWER_RELEVANCE, lambda output, query, _context: answer_relevance(query, output, embed)),
    ]


def stored_answer(item: dict[str, Any]) -> dict[str, Any]:
    """The task of the evaluation: what the pipeline answered then, not what it would answer now.

    An exception here would end the whole run, so an item of another shape (somebody may edit the dataset by hand) gives
    empty texts, which the metrics report as a failed score.
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
