"""`twin evaluate --dataset`: the stage's answers to a dataset's questions, judged, recorded, and compared.

The steps: read the dataset's questions and the baseline, ask the service each question, read the answers' traces back,
score them, record an experiment, compare it with the baseline.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from infra.settings.deployment import SettingsError, load_settings
from services.evaluation.run.opik_metrics import answer_of
from twin.evaluate.asking import ask_all, read_traces
from twin.evaluate.experiments import Experiments, Recorded, open_experiments
from twin.evaluate.offline_report import comparison_fields
from twin.evaluate.offline_scoring import score_traces
from twin.target.api_client import ApiClient
from twin.target.deployment import outputs
from twin.target.errors import TwinError
from twin.target.opik_client import opik_reader
from twin.target.progress import Progress
from twin.target.stage import Stage
from twin.target.waking import await_service


@dataclass(frozen=True)
class OfflineEvaluation:
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


def evaluate_offline(stage: Stage, evaluation: OfflineEvaluation, progress: Progress) -> dict[str, Any]:
    """Ask, judge, record, compare.

    Returns:
        `{"dataset", "experiment", "config", "questions", "skipped" (items without a question), "unanswered":
        [{"item_id", "query", "problem"}], "scored", "failed", "means", "p10", "judging" (None without a judge),
        "scores": {metric: {item id: score}}, "baseline" (None without), "confidence", "resamples", "seed",
        "comparison": [...], "not_compared": [metric], "regressed": [metric]}`. A comparison has `metric`,
        `higher_is_better`, `items`, `baseline`, `now`, `low` and `high` (the interval of now - baseline), `regressed`,
        and `worst`: `{"item_id", "query", "baseline", "now", "trace", "baseline_trace"}` with the addresses of the
        traces' pages, the largest loss first.

    Raises:
        TwinError: there is no such dataset or experiment, they have nothing in common, or the service or Opik does not
            answer.
    """
    _use_stage_opik(stage)
    reader = opik_reader(stage)
    with open_experiments(reader) as experiments, ApiClient(stage) as api:
        items = experiments.items(evaluation.dataset)
        with_question = {item.id: query for item in items if (query := answer_of(item.data).query)}
        questions = dict(list(with_question.items())[: evaluation.newest or None])
        if not questions:
            raise TwinError(f"No item of dataset {evaluation.dataset!r} has a question in `input.query`.")
        # Read before anything is asked: questions cost money, and are of no use without it.
        baseline = _read_baseline(experiments, evaluation, questions)
        await_service(stage, api, progress)
        asked = ask_all(api, questions, evaluation.concurrency, progress)
        traces = {item: each.trace_id for item, each in asked.items() if each.trace_id}
        recorded = read_traces(reader, list(traces.values()), evaluation.concurrency)
        scored = score_traces(stage, recorded, progress, judged=evaluation.judged)
        name = evaluation.name or f"offline-{stage.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        experiments.record(evaluation.dataset, name, scored.config, traces, scored.items)
        now = {item: (trace, scored.values_of(trace)) for item, trace in traces.items()}
        return {
            "dataset": evaluation.dataset,
            "experiment": name,
            "config": scored.config,
            "questions": len(questions),
            "unanswered": [
                {"item_id": item, "query": questions[item], "problem": each.problem}
                for item, each in asked.items()
                if each.problem
            ],
            **scored.summary_fields(),
            "baseline": evaluation.baseline or None,
            **comparison_fields(questions, baseline, now, reader.page),
            "skipped": len(items) - len(with_question),
        }


def _use_stage_opik(stage: Stage) -> None:
    """Set the SDK's environment to the stage's own Opik, where the caller's environment names no other.

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


def _read_baseline(experiments: Experiments, evaluation: OfflineEvaluation, questions: Mapping[str, str]) -> Recorded:
    """What the baseline recorded for `questions`; nothing without a baseline.

    Raises:
        TwinError: there is no such experiment, or it has no scores of these questions.
    """
    if not evaluation.baseline:
        return {}
    found = {item: each for item, each in experiments.read(evaluation.baseline).items() if item in questions}
    if not any(scores for _, scores in found.values()):
        raise TwinError(
            f"Experiment {evaluation.baseline!r} has no scores of items of dataset {evaluation.dataset!r}: there is "
            "nothing to compare with."
        )
    return found
