"""`twin evaluate-judges`: how well the judges agree with labelled pairs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from services.common.embedding import Embedder
from services.common.settings import ConfigurationError
from services.evaluation.judges.agreement import measure
from services.evaluation.judges.factory import create_judge
from services.evaluation.judges.labels import SCORES_OF_TASK, TASKS, LabelledPair, LabelsError, read_pairs
from services.evaluation.judges.meter import Meter, Price
from services.evaluation.judges.settings import JudgeSettings
from services.evaluation.metrics.embedding_metrics import METRIC_VERSION
from services.evaluation.metrics.free import Score
from services.evaluation.metrics.names import METRICS
from services.evaluation.metrics.summary import ItemScores
from services.evaluation.run.opik_metrics import build_metrics, score_answers
from twin.evaluate.judge_settings import API_KEY_VARIABLE
from twin.target.errors import TwinError
from twin.target.paths import EMBEDDING_MODEL
from twin.target.progress import Progress, no_progress


def evaluate_judges(
    file: Path,
    settings: JudgeSettings,
    *,
    client: Any = None,
    thresholds: Mapping[str, float] | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Score the labelled pairs of `file` with the free metrics and, if the settings name one, with a judge.

    Args:
        file: JSON lines, see `services.evaluation.judges.labels`.
        settings: which judge, at what price.
        client: boto3 client of the judge's provider.
        thresholds: goodness threshold by score, the score's default else.
        progress: takes a line before each score.

    Returns:
        `{"file", "pairs", "judge" (None without), "metric_version", "usage" (None without a judge), "scores": [...]}`,
        with the fields of `services.evaluation.judges.agreement.Agreement` for each score, `judged` and `failed_pairs`.

    Raises:
        TwinError: the file, the settings or the embedding model cannot be used, or a threshold is of no known score.
    """
    given = dict(thresholds or {})
    if unknown := sorted(given.keys() - {name for names in SCORES_OF_TASK.values() for name in names}):
        raise TwinError(f"There is no score {unknown[0]} to set a threshold for.")
    # The labelled pairs are few: the month's budget is about production traffic.
    meter = Meter(Price(settings.judge_input_price, settings.judge_output_price))
    try:
        pairs = read_pairs(file)
        judge = create_judge(settings, meter, os.environ.get(API_KEY_VARIABLE), client)
        embedder = Embedder(EMBEDDING_MODEL)
    except (LabelsError, ConfigurationError) as problem:
        raise TwinError(f"{problem}.") from None
    metrics = build_metrics(embedder.embed, judge)
    try:
        rows = [
            _measured(task, name, metric, pairs, settings.judge_concurrency, given, progress)
            for task, names in SCORES_OF_TASK.items()
            for name in names
            if (metric := metrics.get(name)) is not None
        ]
    finally:
        if judge:
            judge.close()
    return {
        "file": str(file),
        "pairs": len(pairs),
        "judge": judge.model_name if judge else None,
        "metric_version": METRIC_VERSION,
        "usage": {**asdict(meter.used), **asdict(meter.counts)} if judge else None,
        "scores": [row for row in rows if row["pairs"] or row["failed"]],
    }


def _measured(
    task: str,
    name: str,
    metric: Score,
    pairs: list[LabelledPair],
    concurrency: int,
    thresholds: Mapping[str, float],
    progress: Progress,
) -> dict[str, Any]:
    mine = {pair.id: pair for pair in pairs if pair.task == task}
    progress(f"{name}: {len(mine)} pairs")
    threads = concurrency if METRICS[name].judged else 1
    items: list[ItemScores] = score_answers(
        {pair.id: pair.as_answer for pair in mine.values()}, {name: metric}, concurrency=threads
    )
    scored = {item.trace_id: (mine[item.trace_id].label, item.values[name]) for item in items if name in item.values}
    failed = [item.trace_id for item in items if item.failed]
    found = measure(task, TASKS[task], name, scored, len(failed), thresholds.get(name))
    return {**asdict(found), "judged": METRICS[name].judged, "failed_pairs": failed}
