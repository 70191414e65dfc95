"""`twin evaluate --dataset`: the stage's answers to a dataset's questions, judged, recorded, and compared."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from infra.settings.deployment import SettingsError, load_settings
from services.common.embedding import Embedder
from services.common.settings import ConfigurationError
from services.evaluation.judges.base import Judge
from services.evaluation.judges.factory import create_judge
from services.evaluation.judges.meter import Meter, Price
from services.evaluation.metrics.answer import Answer
from services.evaluation.metrics.embedding_metrics import METRIC_VERSION
from services.evaluation.metrics.names import METRICS
from services.evaluation.metrics.summary import ItemScores, summarise
from services.evaluation.run.opik_metrics import answer_of, build_metrics, score_answers
from services.rag.sampling.trace_sample import sample_of
from twin.evaluate.asking import Asked, ask_all, await_service, read_traces
from twin.evaluate.comparison import CONFIDENCE, RESAMPLES, Comparison, compare
from twin.evaluate.experiments import Experiments, Recorded, open_experiments
from twin.evaluate.judges import API_KEY_VARIABLE, chosen
from twin.target.api_client import ApiClient
from twin.target.deployment import outputs
from twin.target.errors import TwinError
from twin.target.opik_client import OpikReader, opik_reader
from twin.target.paths import EMBEDDING_MODEL
from twin.target.stage import Stage
from twin.terminal.progress import Progress

FREE_THREADS = 2
DIGITS = 4
"""Opik keeps scores with fewer digits than a float has: what differs beyond these is the same."""
SHOWN_WORST = 5
SEEN = ("model_id", "prompt_name", "prompt_version", "release")
LOWER_IS_BETTER = frozenset(name for name, metric in METRICS.items() if not metric.higher_is_better)


@dataclass(frozen=True)
class Wish:
    """What to evaluate.

    Attributes:
        dataset: whose questions are asked.
        baseline: experiment to compare with; empty compares with nothing.
        name: of the new experiment; empty makes one of the stage and the time.
        concurrency: questions at the same time.
        newest: only so many of the newest items with a question; 0 takes all.
        judged: whether the judge of the stage's settings is asked as well.
    """

    dataset: str
    baseline: str = ""
    name: str = ""
    concurrency: int = 8
    newest: int = 0
    judged: bool = True


def evaluate_offline(stage: Stage, wish: Wish, progress: Progress) -> dict[str, Any]:
    """Ask, judge, record, compare.

    Returns:
        `{"dataset", "experiment", "config", "questions", "skipped" (items without a question), "unanswered":
        [{"item_id", "query", "problem"}], "scored", "failed", "means", "p10", "judging" (None without a judge),
        "scores": {metric: {item id: score}}, "baseline" (None without), "confidence", "resamples",
        "comparison": [...], "not_compared": [metric], "regressed": [metric]}`. A comparison has `metric`,
        `higher_is_better`, `items`, `baseline`, `now`, `low` and `high` (the interval of now - baseline), `regressed`,
        and `worst`: `{"item_id", "query", "baseline", "now", "trace", "baseline_trace"}` with the addresses of the
        traces' pages, the largest loss first.

    Raises:
        TwinError: there is no such dataset or experiment, they have nothing in common, or the service or Opik does not
            answer.
    """
    _know_opik(stage)
    reader = opik_reader(stage)
    with open_experiments(reader) as experiments, ApiClient(stage) as api:
        items = experiments.items(wish.dataset)
        asking = {item.id: query for item in items if (query := answer_of(item.data).query)}
        questions = dict(list(asking.items())[: wish.newest or None])
        if not questions:
            raise TwinError(f"No item of dataset {wish.dataset!r} has a question in `input.query`.")
        # What cannot be compared is not asked first.
        baseline = _baseline(experiments, wish, questions) if wish.baseline else {}
        await_service(api, progress)
        asked = ask_all(api, questions, wish.concurrency, progress)
        return {
            **_evaluated(stage, reader, experiments, wish, questions, asked, baseline, progress),
            "skipped": len(items) - len(asking),
        }


def _know_opik(stage: Stage) -> None:
    """Have the stage's own Opik, with the key from its secret, where the caller's environment names no other.

    Raises:
        TwinError: the settings are wrong.
    """
    if stage.is_local:
        return
    try:
        monitoring = load_settings(stage.name).monitoring
    except SettingsError as problem:
        raise TwinError(str(problem)) from None
    os.environ.setdefault("OPIK_URL_OVERRIDE", monitoring.opik_url)
    os.environ.setdefault("OPIK_WORKSPACE", monitoring.workspace)
    if "OPIK_API_KEY" not in os.environ:
        os.environ["OPIK_API_KEY"] = stage.secret(outputs(stage)["OpikApiKeySecretArn"])


def _baseline(experiments: Experiments, wish: Wish, questions: Mapping[str, str]) -> Recorded:
    found = {item: each for item, each in experiments.read(wish.baseline).items() if item in questions}
    if not any(scores for _, scores in found.values()):
        raise TwinError(
            f"Experiment {wish.baseline!r} has no scores of items of dataset {wish.dataset!r}: there is nothing to "
            "compare with."
        )
    return found


def _evaluated(
    stage: Stage,
    reader: OpikReader,
    experiments: Experiments,
    wish: Wish,
    questions: Mapping[str, str],
    asked: Mapping[str, Asked],
    baseline: Recorded,
    progress: Progress,
) -> dict[str, Any]:
    traces = {item: each.trace_id for item, each in asked.items() if each.trace_id}
    read = read_traces(reader, list(traces.values()), wish.concurrency)
    samples = {trace_id: sample_of(trace, "offline") for trace_id, trace in read.items()}
    meter, judge, threads = _judge(stage, wish)
    progress(f"scoring {len(samples)} answers{f' with {judge.model_name}' if judge else ''}")
    try:
        metrics = build_metrics(Embedder(EMBEDDING_MODEL).embed, judge)
        answers = {each: Answer(s["query"], s["answer"], tuple(s["context"])) for each, s in samples.items()}
        scores = [_rounded(item) for item in score_answers(answers, metrics, threads)]
    finally:
        if judge:
            judge.close()
    config = {
        "stage": stage.name,
        "mode": "offline",
        **{
            name: sorted({str(s["metadata"][name]) for s in samples.values() if name in s["metadata"]}) for name in SEEN
        },
        "judge": judge.model_name if judge else "none",
        "metric_version": METRIC_VERSION,
    }
    name = wish.name or f"offline-{stage.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    experiments.record(wish.dataset, name, config, traces, scores)
    summary = summarise(scores)
    return {
        "dataset": wish.dataset,
        "experiment": name,
        "config": config,
        "questions": len(questions),
        "unanswered": [
            {"item_id": item, "query": questions[item], "problem": each.problem}
            for item, each in asked.items()
            if each.problem
        ],
        "scored": summary.scored,
        "failed": summary.failed,
        "means": summary.means,
        "p10": summary.p10,
        "judging": {**asdict(meter.used), **asdict(meter.counts)} if judge else None,
        **_compared(reader, wish, questions, baseline, traces, {each.trace_id: each for each in scores}),
    }


def _judge(stage: Stage, wish: Wish) -> tuple[Meter, Judge | None, int]:
    """The judge that the stage's settings name, if any, with a budget for this run, and how many threads to score with.

    Raises:
        TwinError: the settings are wrong.
    """
    try:
        named = load_settings(stage.name).judge
        if not wish.judged or named.provider == "none":
            return Meter(Price(0, 0)), None, FREE_THREADS
        settings, client = chosen(
            {
                "judge_provider": named.provider,
                "judge_model": named.model or "",
                "judge_url": named.url or "",
                "judge_endpoint_name": named.endpoint_name or "",
                "judge_inference_component_name": named.inference_component_name or "",
            },
            prices=(named.input_price, named.output_price),
            concurrency=named.concurrency,
            stage=stage.name,
        )
        meter = Meter(Price(named.input_price, named.output_price), named.monthly_cap_usd)
        return meter, create_judge(settings, meter, os.environ.get(API_KEY_VARIABLE), client), named.concurrency
    except (SettingsError, ConfigurationError) as problem:
        raise TwinError(f"{problem}.") from None


def _rounded(item: ItemScores) -> ItemScores:
    values = {name: round(value, DIGITS) for name, value in item.values.items()}
    return ItemScores(item.trace_id, values, item.failed, item.reasons)


def _compared(
    reader: OpikReader,
    wish: Wish,
    questions: Mapping[str, str],
    baseline: Recorded,
    traces: Mapping[str, str],
    scores: Mapping[str, ItemScores],
) -> dict[str, Any]:
    before = _by_metric({item: recorded for item, (_, recorded) in baseline.items()})
    now = _by_metric({item: scores[trace].values for item, trace in traces.items()})
    found = compare(before, now, LOWER_IS_BETTER)

    def shown(each: Comparison) -> dict[str, Any]:
        worst = [
            {
                "item_id": item,
                "query": questions[item],
                "baseline": was,
                "now": is_,
                "trace": reader.page(traces[item]),
                "baseline_trace": reader.page(baseline[item][0]),
            }
            for item, was, is_ in each.worse[:SHOWN_WORST]
        ]
        return {
            "metric": each.metric,
            "higher_is_better": each.higher_is_better,
            "items": each.samples,
            "baseline": round(each.base, DIGITS),
            "now": round(each.head, DIGITS),
            "low": round(each.low, DIGITS),
            "high": round(each.high, DIGITS),
            "regressed": each.regressed,
            "worst": worst,
        }

    return {
        "scores": now,
        "baseline": wish.baseline or None,
        "confidence": CONFIDENCE,
        "resamples": RESAMPLES,
        "comparison": [shown(each) for each in found],
        "not_compared": sorted(before.keys() - {each.metric for each in found}),
        "regressed": [each.metric for each in found if each.regressed],
    }


def _by_metric(items: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Scores by metric and item, of the metrics whose direction is known."""
    found: dict[str, dict[str, float]] = {}
    for item, scores in items.items():
        for name in scores.keys() & METRICS.keys():
            found.setdefault(name, {})[item] = round(scores[name], DIGITS)
    return found


def closed(report: Mapping[str, Any]) -> str:
    """Why what was evaluated must not go on, as a sentence; empty when it may."""
    reasons = []
    if unanswered := report["unanswered"]:
        reasons.append(f"{len(unanswered)} questions got no answer ({unanswered[0]['problem']})")
    for each in _regressed(report):
        worst = ", ".join(sample["trace"] for sample in each["worst"][:3])
        reasons.append(
            f"{each['metric']} went from {each['baseline']:.3f} to {each['now']:.3f} "
            f"({report['confidence']:.0%} interval of the difference {each['low']:+.3f} to {each['high']:+.3f}), "
            f"worst: {worst}"
        )
    return "; ".join(reasons)


def goodness(report: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The scores of a report by metric and question, turned so that more is better.

    Raises:
        TwinError: a question got no answer.
    """
    if reason := closed(report):
        raise TwinError(f"The evaluation is not passed: {reason}.")
    return {
        name: {item: 1 - METRICS[name].badness(value) for item, value in items.items()}
        for name, items in report["scores"].items()
    }


def _regressed(report: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return [each for each in report["comparison"] if each["regressed"]]
