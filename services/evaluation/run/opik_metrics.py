"""Computation of the metrics in a pool of threads, and handover of their scores to Opik's evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from opik.evaluation.metrics import base_metric, score_result

from services.evaluation.judges.base import Judge
from services.evaluation.judges.errors import JudgingStopped
from services.evaluation.metrics.answer import Answer, MetricScore
from services.evaluation.metrics.embedding_metrics import Embed
from services.evaluation.metrics.free import Score, free_scores
from services.evaluation.metrics.judged import judged_scores
from services.evaluation.metrics.summary import ItemScores


@dataclass(frozen=True)
class Failed:
    """Why a score could not be computed."""

    reason: str


def build_metrics(embed: Embed, judge: Judge | None = None) -> dict[str, Score]:
    """The metrics by name: the judge-free ones over an embedding function, and with a judge its own."""
    return {**free_scores(embed), **(judged_scores(judge) if judge else {})}


def score_answers(
    answers: Mapping[str, Answer],
    metrics: Mapping[str, Score],
    concurrency: int,
    on_scored: Callable[[int], None] | None = None,
) -> list[ItemScores]:
    """Every metric of every answer, in the order of the answers.

    Each score is a separate task, so that `concurrency` requests to a judge run at once even for the last few
    answers. A judgement that the budget does not allow is not a failure: the judge's meter counts it.

    Args:
        answers: by trace id.
        metrics: what to compute, by name.
        concurrency: threads.
        on_scored: called with the number of finished scores from time to time.
    """
    work = [(answer, compute) for answer in answers.values() for compute in metrics.values()]
    found: list[MetricScore | Failed | None] = []
    with ThreadPoolExecutor(concurrency, thread_name_prefix="judge") as pool:
        for number, result in enumerate(pool.map(_compute, work), 1):
            found.append(result)
            if on_scored:
                on_scored(number)
    items = []
    for index, trace_id in enumerate(answers):
        own = dict(zip(metrics, found[index * len(metrics) : (index + 1) * len(metrics)], strict=True))
        items.append(
            ItemScores(
                trace_id,
                {name: result.value for name, result in own.items() if isinstance(result, MetricScore)},
                tuple(name for name, result in own.items() if isinstance(result, Failed)),
                {name: result.reason for name, result in own.items() if result is not None and result.reason},
            )
        )
    return items


class RecordedMetrics(base_metric.BaseMetric):  # type: ignore[misc]  # the SDK is untyped here
    """Scores that `score_answers` computed, as a metric of Opik's evaluation.

    Opik's own pool keeps a thread busy with the bookkeeping of an item between its judgements; computing the scores
    before it keeps the judge busy instead. Also, Opik's own handling of a metric's exception needs the `openai`
    package, which the slim installation leaves out: an exception there would end the whole run.
    """

    def __init__(self, items: Mapping[str, ItemScores]) -> None:
        """`items`: scores by the id of the dataset's item."""
        super().__init__(name="recorded", track=False)
        self._items = items

    def score(self, id: str, **_: Any) -> list[score_result.ScoreResult]:
        """Every score of the item, failed ones included; none when it was not scored."""
        item = self._items.get(id)
        if item is None:
            return []
        return [
            *(
                score_result.ScoreResult(name=name, value=value, reason=item.reasons.get(name))
                for name, value in item.values.items()
            ),
            *(
                score_result.ScoreResult(name=name, value=0.0, reason=item.reasons.get(name), scoring_failed=True)
                for name in item.failed
            ),
        ]


def feedback(items: Iterable[ItemScores]) -> list[Any]:
    """The scores in the form in which Opik's SDK sets them on traces, with their reasons."""
    return [
        {"id": item.trace_id, "name": name, "value": value, "reason": item.reasons.get(name)}
        for item in items
        for name, value in item.values.items()
    ]


def _compute(work: tuple[Answer, Score]) -> MetricScore | Failed | None:
    answer, compute = work
    try:
        return compute(answer)
    except JudgingStopped:
        return None
    except Exception as problem:  # noqa: BLE001 - a failure for one answer must not end the run of all
        return Failed(f"{type(problem).__name__}: {problem}")


def stored_answer(item: Mapping[str, Any]) -> dict[str, Any]:
    """The task of the evaluation: it returns the stored answer and does not ask the pipeline again.

    An exception here would end the whole run, so an item of another shape (the dataset can be edited by hand) has empty
    texts, which the metrics report as a failed score.
    """
    answer = answer_of(item)
    return {"output": answer.output, "query": answer.query, "context": list(answer.context)}


def answer_of(item: Mapping[str, Any]) -> Answer:
    """The answer that an item of the dataset holds; see `stored_answer`."""
    expected = item.get("expected_output")
    given = item.get("input")
    answer = expected.get("answer") if isinstance(expected, dict) else None
    context = expected.get("context") if isinstance(expected, dict) else None
    query = given.get("query") if isinstance(given, dict) else None
    return Answer(
        query if isinstance(query, str) else "",
        answer if isinstance(answer, str) else "",
        tuple(text for text in context if isinstance(text, str)) if isinstance(context, list) else (),
    )
