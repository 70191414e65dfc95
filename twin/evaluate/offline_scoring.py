"""Scores of recorded answers, by the free metrics and by the judge that the stage's settings name."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from infra.settings.deployment import SettingsError, load_settings
from services.common.embedding import Embedder
from services.common.settings import ConfigurationError
from services.evaluation.judges.base import Judge
from services.evaluation.judges.factory import create_judge
from services.evaluation.judges.meter import Meter, Price
from services.evaluation.metrics.answer import Answer
from services.evaluation.metrics.embedding_metrics import METRIC_VERSION
from services.evaluation.metrics.summary import ItemScores, summarise
from services.evaluation.run.opik_metrics import build_metrics, score_answers
from services.rag.sampling.trace_sample import sample_of
from twin.evaluate.comparison import DIGITS
from twin.evaluate.judge_settings import API_KEY_VARIABLE, judge_settings
from twin.target.errors import TwinError
from twin.target.paths import EMBEDDING_MODEL
from twin.target.progress import Progress
from twin.target.stage import Stage

FREE_THREADS = 2
RELEASE_FACTS = ("model_id", "prompt_name", "prompt_version", "release")


@dataclass(frozen=True)
class ScoredAnswers:
    """Scores of answers, and under which configuration they were made.

    Attributes:
        items: scores by trace.
        config: the release that answered and the judge, as the experiment keeps them.
        judging: tokens, US dollars and counts of the judge; None without one.
    """

    items: Sequence[ItemScores]
    config: dict[str, Any]
    judging: dict[str, Any] | None

    def values_of(self, trace_id: str) -> Mapping[str, float]:
        """Scores of one trace by metric."""
        return next(item.values for item in self.items if item.trace_id == trace_id)

    def summary_fields(self) -> dict[str, Any]:
        """The report's fields `scored`, `failed`, `means`, `p10` and `judging`."""
        summary = summarise(self.items)
        return {
            "scored": summary.scored,
            "failed": summary.failed,
            "means": summary.means,
            "p10": summary.p10,
            "judging": self.judging,
        }


def score_traces(
    stage: Stage, traces: Mapping[str, dict[str, Any]], progress: Progress, *, judged: bool
) -> ScoredAnswers:
    """Score the answers of recorded traces.

    Args:
        stage: whose settings name the judge.
        traces: the traces as Opik gives them, by id.
        progress: takes a line before the scoring begins.
        judged: False leaves the judge out.

    Raises:
        TwinError: the settings are wrong.
    """
    samples = {trace_id: sample_of(trace, "offline") for trace_id, trace in traces.items()}
    meter, judge, threads = _open_judge(stage, judged)
    progress(f"scoring {len(samples)} answers{f' with {judge.model_name}' if judge else ''}")
    try:
        metrics = build_metrics(Embedder(EMBEDDING_MODEL).embed, judge)
        answers = {each: Answer(s["query"], s["answer"], tuple(s["context"])) for each, s in samples.items()}
        items = [_rounded(item) for item in score_answers(answers, metrics, threads)]
    finally:
        if judge:
            judge.close()
    metadata = [sample["metadata"] for sample in samples.values()]
    config = {
        "stage": stage.name,
        "mode": "offline",
        **{fact: sorted({str(each[fact]) for each in metadata if fact in each}) for fact in RELEASE_FACTS},
        "judge": judge.model_name if judge else "none",
        "metric_version": METRIC_VERSION,
    }
    return ScoredAnswers(items, config, {**asdict(meter.used), **asdict(meter.counts)} if judge else None)


def _open_judge(stage: Stage, judged: bool) -> tuple[Meter, Judge | None, int]:
    """The judge that the stage's settings name, if any, with a budget for this run, and how many threads to score with.

    Raises:
        TwinError: the settings are wrong.
    """
    try:
        named = load_settings(stage.name).judge
        if not judged or named.provider == "none":
            return Meter(Price(0, 0)), None, FREE_THREADS
        settings, client = judge_settings(
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
