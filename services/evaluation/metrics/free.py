"""The metrics without a judge, by name: they cost nothing and are computed for every sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from services.evaluation.metrics.answer import Answer, MetricScore
from services.evaluation.metrics.embedding_metrics import Embed, answer_relevance, groundedness
from services.evaluation.metrics.injection import prompt_injection
from services.evaluation.metrics.language import same_language
from services.evaluation.metrics.names import (
    ANSWER_RELEVANCE,
    GROUNDEDNESS,
    LANGUAGE_MATCH,
    PROMPT_INJECTION,
    REFUSAL,
)
from services.evaluation.metrics.refusal import refusal

Score = Callable[[Answer], MetricScore | None]
"""Computes the score of an answer, None where the metric is not defined; raises when it cannot be computed."""


def free_scores(embed: Embed) -> Mapping[str, Score]:
    """Every metric that needs no judge, over an embedding function."""
    return {
        GROUNDEDNESS: lambda answer: _plain(groundedness(answer.output, answer.context, embed)),
        ANSWER_RELEVANCE: lambda answer: _plain(answer_relevance(answer.query, answer.output, embed)),
        LANGUAGE_MATCH: lambda answer: _plain(same_language(answer.query, answer.output)),
        REFUSAL: lambda answer: _plain(refusal(answer.output)),
        PROMPT_INJECTION: _injection,
    }


def _plain(value: float | None) -> MetricScore | None:
    return None if value is None else MetricScore(value)


def _injection(answer: Answer) -> MetricScore | None:
    if not answer.query.strip() and not answer.context:
        return None
    found = prompt_injection(answer.query, answer.context)
    return MetricScore(found.score, found.reason or None)
