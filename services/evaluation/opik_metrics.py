"""The metrics as Opik's evaluation calls them, and a pool that computes them for many answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from opik.evaluation.metrics import base_metric, score_result

from services.evaluation.judges.base import Judge
from services.evaluation.judges.errors import JudgingStopped
from services.evaluation.metrics.answer import Answer, Verdict
from services.evaluation.metrics.embedding_metrics import Embed
from services.evaluation.metrics.free import Score, free_scores
from services.evaluation.metrics.judged import judged_scores
from services.evaluation.metrics.summary import ItemScores


@dataclass(frozen=True)
class Failed:
    """Why a score could not be computed."""

    reason: str


class TextMetric(base_metric.BaseMetric):  # type: ignore[misc]  # the SDK is untyped here
    """A metric of `output`, `query` and `context` that never raises.

    Opik's own handling of a metric's exception needs the `openai` package, which the slim installation leaves out: an
    exception would end the whole run. A failure is therefore returned as Opik's failed score, and counted.
    """

    def __init__(self, name: str, compute: Score) -> None:
        super().__init__(name=name, track=False)
        self._compute = compute

    def verdict(self, answer: Answer) -> Verdict | Failed | None:
        """The verdict; why there is none; or None when it is not defined, or the budget of judging is used up.

        A judgement that the budget does not allow is no failure: the judge's meter counts it.
        """
        try:
            return self._compute(answer)
        except JudgingStopped:
            return None
        except Exception as problem:  # noqa: BLE001 - whatever fails for one answer must not end the run of all
            return Failed(f"{type(problem).__name__}: {problem}")

    def score(self, output: str, query: str, context: list[str], **_: Any) -> list[score_result.ScoreResult]:
        """The score in a list; a failed score when it cannot be computed; an empty list when there is none to give."""
        found = self.verdict(Answer(query, output, tuple(context)))
        if isinstance(found, Failed):
            return [score_result.ScoreResult(name=self.name, value=0.0, reason=found.reason, scoring_failed=True)]
        return (
            [] if found is None else [score_result.ScoreResult(name=self.name, value=found.value, reason=found.reason)]
        )


def build_metrics(embed: Embed, judge: Judge | None = None) -> list[TextMetric]:
    """The metrics of the monitoring run: the judge-free ones over an embedding function, and with a judge its own."""
    scores: Mapping[str, Score] = {**free_scores(embed), **(judged_scores(judge) if judge else {})}
    return [TextMetric(name, compute) for name, compute in scores.items()]


def score_answers(
    answers: Mapping[str, Answer],
    metrics: Sequence[TextMetric],
    concurrency: int,
    on_scored: Callable[[int], None] | None = None,
) -> list[ItemScores]:
    """Every metric of every answer, in the order of the answers.

    Each score is a piece of work of its own, so that a judge is asked `concurrency` times at once even for the last
    few answers.

    Args:
        answers: by trace id.
        metrics: what to compute.
        concurrency: threads.
        on_scored: called with the number of finished scores from time to time.
    """
    work = [(answer, metric) for answer in answers.values() for metric in metrics]
    found: list[Verdict | Failed | None] = []
    with ThreadPoolExecutor(concurrency, thread_name_prefix="judge") as pool:
        for number, verdict in enumerate(pool.map(lambda pair: pair[1].verdict(pair[0]), work), 1):
            found.append(verdict)
            if on_scored:
                on_scored(number)
    items = []
    for index, trace_id in enumerate(answers):
        mine = list(zip(metrics, found[index * len(metrics) : (index + 1) * len(metrics)], strict=True))
        items.append(
            ItemScores(
                trace_id,
                {metric.name: verdict.value for metric, verdict in mine if isinstance(verdict, Verdict)},
                tuple(metric.name for metric, verdict in mine if isinstance(verdict, Failed)),
                {metric.name: verdict.reason for metric, verdict in mine if verdict is not None and verdict.reason},
            )
        )
    return items


class RecordedMetrics(base_metric.BaseMetric):  # type: ignore[misc]  # the SDK is untyped here
    """Scores that `score_answers` computed, as a metric that hands them to Opik's evaluation.

    Opik's own pool keeps a thread busy with the bookkeeping of an item between its judgements; computing ahead of it
    keeps the judge busy instead.
    """

    def __init__(self, items: Sequence[ItemScores]) -> None:
        super().__init__(name="recorded", track=False)
        self._items = {item.trace_id: item for item in items}

    def score(self, id: str, **_: Any) -> list[score_result.ScoreResult]:
        """Every score of the item, whose id is the trace id, failed ones among them; none when it was not scored."""
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


def stored_answer(item: dict[str, Any]) -> dict[str, Any]:
    """The task of the evaluation: what the pipeline answered then, not what it would answer now.

    An exception here would end the whole run, so an item of another shape (somebody may edit the dataset by hand) gives
    empty texts, which the metrics report as a failed score.
    """
    expected = item.get("expected_output")
    given = item.get("input")
    metadata = item.get("metadata")
    answer = expected.get("answer") if isinstance(expected, dict) else None
    context = expected.get("context") if isinstance(expected, dict) else None
    query = given.get("query") if isinstance(given, dict) else None
    return {
        "output": answer if isinstance(answer, str) else "",
        "query": query if isinstance(query, str) else "",
        "context": [text for text in context if isinstance(text, str)] if isinstance(context, list) else [],
        # A sampled request that failed: no answer is no bad answer, and is counted apart.
        "unanswered": isinstance(metadata, dict) and bool(metadata.get("error")),
    }
