"""Judges one shard of the monitoring dataset as an Opik experiment and keeps its scores until the run is finished."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Sequence
from typing import Any

import opik
from opik.evaluation import evaluate
from opik.evaluation.evaluation_result import EvaluationResult

from services.common.embedding import Embedder
from services.evaluation.judged_item import JudgedItem
from services.evaluation.metrics.embedding_metrics import METRIC_VERSION
from services.evaluation.metrics.summary import METRIC_NAMES, ItemScores
from services.evaluation.monitoring_dataset import ItemHead, filter_between, open_dataset, read_heads
from services.evaluation.opik_connection import connect
from services.evaluation.opik_metrics import build_metrics, stored_answer
from services.evaluation.settings import EvaluateSettings
from services.evaluation.shards import Shard
from services.evaluation.state import open_state

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 30
STORED_WITHIN_SECONDS = 20.0
TASK_THREADS = 4
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
        known = _judge(settings, run, shard, "full" if again else "incremental")
        state.write(key, known, KEPT_SECONDS)
    else:
        logger.info("the shard %s was judged before: %s", shard.key, known["experiment"])
    experiment: str | None = known["experiment"]
    return experiment


def judged(settings: EvaluateSettings, run: str, shard: Shard, *, again: bool = False) -> list[JudgedItem]:
    """The scores of a shard that `judge` was called for with the same arguments.

    Raises:
        LookupError: it was not judged, or longer than a day ago.
    """
    known = open_state(settings.state_table_name).read(_key(settings, run if again else "", shard))
    if known is None:
        raise LookupError(f"the scores of shard {shard.key} are not known")
    return [JudgedItem.from_dict(item) for item in known["items"]]


def _key(settings: EvaluateSettings, run: str, shard: Shard) -> str:
    return f"shard/{settings.dataset_name}/{run}/{shard.key}"


def _judge(settings: EvaluateSettings, run: str, shard: Shard, mode: str) -> dict[str, Any]:
    client = client_of(settings)
    dataset = open_dataset(client, settings.dataset_name)
    heads = read_heads(client, settings.dataset_name, settings.opik_project_name, shard.after, shard.until)
    result = evaluate(
        dataset=dataset,
        task=stored_answer,
        scoring_metrics=build_metrics(_embedder(settings).embed),
        # Not by item ids: for those the SDK writes a file into the home folder, which is read-only in Lambda.
        dataset_filter_string=filter_between(shard.after, shard.until),
        experiment_name_prefix=f"monitoring-{settings.stage}",
        experiment_config={"run": run, "mode": mode, **_config(settings, heads)},
        task_threads=TASK_THREADS,
        verbose=0,
    )
    _await_stored(client, result)
    return {"experiment": result.experiment_name, "items": [item.as_dict() for item in _items(result)]}


@functools.cache
def _embedder(settings: EvaluateSettings) -> Embedder:
    return Embedder(settings.embedding_model_dir)


def _config(settings: EvaluateSettings, heads: Sequence[ItemHead]) -> dict[str, Any]:
    def seen(key: str) -> list[str]:
        return sorted({str(head.metadata[key]) for head in heads if head.metadata.get(key)})

    return {
        "stage": settings.stage,
        "model_id": settings.llm_model_id,
        "answered_by": seen("model_id"),
        "prompt_name": seen("prompt_name"),
        "prompt_version": seen("prompt_version"),
        "release": seen("release"),
        "judge": f"{METRIC_VERSION} over {_embedder(settings).model_id}",
        "metric_version": METRIC_VERSION,
        "embedding_model_id": _embedder(settings).model_id,
    }


def _items(result: EvaluationResult) -> list[JudgedItem]:
    items = []
    for test in result.test_results:
        content = test.test_case.dataset_item_content.get("metadata")
        metadata = content if isinstance(content, dict) else {}
        known = [score for score in test.score_results if score.name in METRIC_NAMES]
        scores = ItemScores(
            trace_id=str(metadata.get("trace_id") or test.test_case.dataset_item_id),
            values={score.name: score.value for score in known if not score.scoring_failed},
            failed=tuple(score.name for score in known if score.scoring_failed),
        )
        items.append(JudgedItem(scores, str(metadata.get("model_id") or "unknown"), not metadata.get("error")))
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
