"""Judges one shard of the monitoring dataset as an Opik experiment and keeps its scores until the run is finished."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import opik
from opik.evaluation import evaluate
from opik.evaluation.evaluation_result import EvaluationResult

from services.common.embedding import Embedder
from services.evaluation.dataset.monitoring_dataset import Item, filter_between, open_dataset, read_items
from services.evaluation.dataset.opik_connection import connect
from services.evaluation.judges.session import JudgingReport, open_judge
from services.evaluation.metrics.drift import Profile
from services.evaluation.metrics.embedding_metrics import METRIC_VERSION
from services.evaluation.metrics.summary import ItemScores
from services.evaluation.run.judged_item import JudgedItem, JudgedShard
from services.evaluation.run.opik_metrics import (
    RecordedMetrics,
    answer_of,
    build_metrics,
    feedback,
    score_answers,
    stored_answer,
)
from services.evaluation.run.shards import Shard
from services.evaluation.settings import EvaluateSettings
from services.evaluation.storage.state import open_state

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 30
STORED_WITHIN_SECONDS = 20.0
TASK_THREADS = 4
FREE_THREADS = 4
"""The free scores wait for nobody; more threads than a function has processors only overlap their bookkeeping."""
KEPT_SECONDS = 24 * 3600.0
"""How long the scores of a shard are known to a run that is repeated."""


class ExperimentNotStoredError(RuntimeError):
    """Opik did not keep the whole experiment; the same items are judged again by the next run."""


@functools.cache
def client_of(settings: EvaluateSettings) -> opik.Opik:
    """The process's Opik client.

    Raises:
        SecretUnavailableError: the API key cannot be read.
    """
    return connect(settings)


def judge(settings: EvaluateSettings, run: str, shard: Shard, *, again: bool = False) -> str | None:
    """Judge a shard, once: when its scores are known already, nothing is judged.

    Args:
        settings: of the function.
        run: names the run in the experiment's config.
        shard: what to judge.
        again: judge in any case, because a full evaluation was asked for.

    Returns:
        The experiment's name.

    Raises:
        DatasetMissing: there is no dataset.
        ExperimentNotStoredError: Opik did not take everything.
    """
    state, key = open_state(settings.state_table_name), _key(settings, run if again else "", shard)
    known = state.read(key)
    if known is None:
        known = _judge(settings, run, shard, "full" if again else "incremental").as_dict()
        state.write(key, known, KEPT_SECONDS)
    else:
        logger.info("the shard %s was judged before: %s", shard.key, known["experiment"])
    experiment: str | None = known["experiment"]
    return experiment


def judged(settings: EvaluateSettings, run: str, shard: Shard, *, again: bool = False) -> JudgedShard:
    """What is known of a shard that `judge` was called for with the same arguments.

    Raises:
        LookupError: it was not judged, or longer than a day ago.
    """
    known = open_state(settings.state_table_name).read(_key(settings, run if again else "", shard))
    if known is None:
        raise LookupError(f"the scores of shard {shard.key} are not known")
    return JudgedShard.from_dict(known)


def _key(settings: EvaluateSettings, run: str, shard: Shard) -> str:
    return f"shard/{settings.dataset_name}/{run}/{shard.key}"


def _judge(settings: EvaluateSettings, run: str, shard: Shard, mode: str) -> JudgedShard:
    client = client_of(settings)
    dataset = open_dataset(client, settings.dataset_name)
    items = list(
        read_items(client, settings.dataset_name, settings.opik_project_name, shard.after, shard.until),
    )
    # A sampled request that failed: no answer is no bad answer, and is counted apart.
    answers = {item.id: answer_of(item.data) for item in items if not item.metadata.get("error")}
    embed = _embedder(settings).embed
    with open_judge(settings, open_state(settings.state_table_name)) as session:
        metrics = build_metrics(embed, session.judge if session else None)
        scores = score_answers(answers, metrics, max(settings.judge_concurrency if session else 1, FREE_THREADS))
    report = session.report() if session else None
    by_item = dict(zip(answers, scores, strict=True))
    result = evaluate(
        dataset=dataset,
        task=stored_answer,
        scoring_metrics=[RecordedMetrics(by_item)],
        # Not by item ids: for those the SDK writes a file into the home folder, which is read-only in Lambda.
        dataset_filter_string=filter_between(shard.after, shard.until),
        experiment_name_prefix=f"monitoring-{settings.stage}",
        experiment_config={"run": run, "mode": mode, **_config(settings, items, report)},
        task_threads=TASK_THREADS,
        verbose=0,
    )
    judged_items = [_judged_item(item, by_item.get(item.id)) for item in items]
    # On the answers' own traces as well, where a person looks and `twin export` reads.
    if found := feedback(item.scores for item in judged_items):
        client.log_traces_feedback_scores(found, project_name=settings.opik_project_name)
    _await_stored(client, result)
    profile = Profile.of([answer.output for answer in answers.values()])
    return JudgedShard(result.experiment_name, judged_items, report, profile)


@functools.cache
def _embedder(settings: EvaluateSettings) -> Embedder:
    return Embedder(settings.embedding_model_dir)


def _config(settings: EvaluateSettings, items: Sequence[Item], judging: JudgingReport | None) -> dict[str, Any]:
    def seen(key: str) -> list[str]:
        return sorted({str(item.metadata[key]) for item in items if item.metadata.get(key)})

    return {
        "stage": settings.stage,
        "model_id": settings.llm_model_id,
        "answered_by": seen("model_id"),
        "prompt_name": seen("prompt_name"),
        "prompt_version": seen("prompt_version"),
        "release": seen("release"),
        "judge": judging.judge if judging else "none",
        "judging": asdict(judging) if judging else None,
        "metric_version": METRIC_VERSION,
        "embedding_model_id": _embedder(settings).model_id,
    }


def _judged_item(item: Item, scores: ItemScores | None) -> JudgedItem:
    known = scores or ItemScores(item.id, {})
    named = replace(known, trace_id=str(item.metadata.get("trace_id") or item.id))
    return JudgedItem(named, str(item.metadata.get("model_id") or "unknown"), not item.metadata.get("error"))


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
