"""The metrics that ask a judge, by name: Opik's own and ours, over one model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opik.evaluation.metrics import AnswerRelevance, Hallucination, Moderation
from opik.evaluation.models import base_model

from services.evaluation.metrics.answer import Answer, MetricScore
from services.evaluation.metrics.context_precision import ContextPrecision
from services.evaluation.metrics.free import Score
from services.evaluation.metrics.names import (
    CONTEXT_PRECISION,
    HALLUCINATION,
    JUDGED_ANSWER_RELEVANCE,
    MODERATION,
    STYLE,
)
from services.evaluation.metrics.style import Style

_NEED_CONTEXT = frozenset({HALLUCINATION, CONTEXT_PRECISION})


def judged_scores(model: base_model.OpikBaseModel) -> Mapping[str, Score]:
    """Every judged metric; those about the sources are not defined for an answer without any."""
    metrics: dict[str, Any] = {
        HALLUCINATION: Hallucination(model=model, name=HALLUCINATION, track=False),
        MODERATION: Moderation(model=model, name=MODERATION, track=False),
        JUDGED_ANSWER_RELEVANCE: AnswerRelevance(
            model=model, name=JUDGED_ANSWER_RELEVANCE, require_context=False, track=False
        ),
        STYLE: Style(model, STYLE),
        CONTEXT_PRECISION: ContextPrecision(model, CONTEXT_PRECISION),
    }
    return {name: _score(metric, needs_context=name in _NEED_CONTEXT) for name, metric in metrics.items()}


def _score(metric: Any, *, needs_context: bool) -> Score:
    def ask(answer: Answer) -> MetricScore | None:
        if needs_context and not answer.context:
            return None
        if not answer.output.strip():
            raise ValueError("the answer has no text")
        result = metric.score(input=answer.query, output=answer.output, context=list(answer.context))
        return MetricScore(float(result.value), result.reason)

    return ask
