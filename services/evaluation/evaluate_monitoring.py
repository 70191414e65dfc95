"""Judges the sampled answers that are new since the last run, publishes the scores, and only then moves on."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import opik
from opik.evaluation import evaluate
from opik.evaluation.evaluation_result import EvaluationResult

from services.common.embedding import Embedder
from services.common.logging import configure_logging
from services.evaluation.metrics.embedding_metrics import METRIC_VERSION
from services.evaluation.metrics.summary import METRIC_NAMES, ItemScores, summarise
from services.evaluation.monitoring_dataset import ItemHead, filter_between, open_dataset, read_heads
from services.evaluation.opik_connection import connect
from services.evaluation.opik_metrics import build_metrics, stored_answer
from services.evaluation.quality_metrics import publish
from services.evaluation.settings import EvaluateSettings
from services.evaluation.watermark import read_watermark, write_watermark

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 30
STORED_WITHIN_SECONDS = 20.0
TASK_THREADS = 4


class ExperimentNotStoredError(RuntimeError):
    """Opik did not keep the whole experiment; the same items are judged again by the next run."""


def handler(event: dict[str, Any] | None, _context: object) -> dict[str, Any]:
    """Judge stored answers; `{"full": true}` judges every item, anything else those since the watermark.

    The watermark moves only after the experiment is stored and the metrics are published: a failed run loses nothing.

    Returns:
        `{"dataset", "experiment" (name, None when nothing is new), "scored", "failed", "means", "p10",
        "worst": [{"trace_id", <metric>: <score>}]}` (see `metrics.summary.Summary`).

    Raises:
        DatasetMissing: no sample was ever collected.
        ExperimentNotStoredError: Opik did not take everything.
    """
    settings = _start()
    client = _client(settings)
    full = bool((event or {}).get("full"))
    after = None if full else read_watermark(settings.watermark_parameter_name)
    dataset = open_dataset(client, settings.dataset_name)
    heads = read_heads(client, settings.dataset_name, settings.opik_project_name, after)
    until = max((head.created_at for head in heads), default=None)

    scores: list[ItemScores] = []
    experiment: str | None = None
    if until is not None:
        result = evaluate(
            dataset=dataset,
            task=stored_answer,
            scoring_metrics=build_metrics(_embedder(settings).embed),
            # Not by item ids: for those the SDK writes a file into the home folder, which is read-only in Lambda.
            dataset_filter_string=filter_between(after, until),
            experiment_name_prefix=f"monitoring-{settings.stage}",
            experiment_config=_experiment_config(settings, heads, full),
            task_threads=TASK_THREADS,
            verbose=0,
        )
        experiment = result.experiment_name
        scores = _item_scores(result)
        _await_stored(client, result)

    summary = summarise(scores)
    publish(settings.metric_namespace, settings.stage, summary)
    if until is not None:
        write_watermark(settings.watermark_parameter_name, until)
    logger.info("judged %d answers, %d scores failed, experiment %s", summary.scored, summary.failed, experiment)
    return {"dataset": settings.dataset_name, "experiment": experiment, **asdict(summary)}


@functools.cache
def _start() -> EvaluateSettings:
    configure_logging()
    return EvaluateSettings.load()


@functools.cache
def _client(settings: EvaluateSettings) -> opik.Opik:
    return connect(settings)


@functools.cache
def _embedder(settings: EvaluateSettings) -> Embedder:
    return Embedder(settings.embedding_model_dir)


def _experiment_config(settings: EvaluateSettings, heads: Sequence[ItemHead], full: bool) -> dict[str, Any]:
    def seen(key: str) -> list[str]:
        return sorted({str(head.metadata[key]) for head in heads if head.metadata.get(key)})

    return {
        "stage": settings.stage,
        "mode": "full" if full else "incremental",
        "model_id": settings.llm_model_id,
        "answered_by": seen("model_id"),
        "prompt_version": seen("prompt_version"),
        "metric_version": METRIC_VERSION,
        "embedding_model_id": _embedder(settings).model_id,
    }


def _item_scores(result: EvaluationResult) -> list[ItemScores]:
    items = []
    for test in result.test_results:
        metadata = test.test_case.dataset_item_content.get("metadata")
        trace_id = metadata.get("trace_id") if isinstance(metadata, dict) else None
        known = [score for score in test.score_results if score.name in METRIC_NAMES]
        items.append(
            ItemScores(
                trace_id=str(trace_id or test.test_case.dataset_item_id),
                values={score.name: score.value for score in known if not score.scoring_failed},
                failed=tuple(score.name for score in known if score.scoring_failed),
            )
        )
    return items


def _await_stored(client: opik.Opik, result: EvaluationResult) -> None:
    """Wait until Opik shows every judged item.

    The SDK sends in the background and reports a flush as done while messages are parked for a server that is away, so
    only reading back tells.

    Raises:
        ExperimentNotStoredError: something is missing after the limit.
    """
    expected = len(result.test_results)
    flushed = client.flush(timeout=FLUSH_SECONDS)
    deadline = time.monotonic() + STORED_WITHIN_SECONDS
    while flushed:
        stored = len(client.get_experiment_by_id(result.experiment_id).get_items())
        if stored >= expected:
            return
        if time.monotonic() > deadline:
            raise ExperimentNotStoredError(f"Opik holds {stored} of {expected} items of {result.experiment_name}")
        time.sleep(0.5)
    raise ExperimentNotStoredError(f"Opik did not take the results of {result.experiment_name} in {FLUSH_SECONDS} s")
