"""Scoring of one shard of the monitoring dataset as an Opik experiment; its scores are kept until the run ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any, Protocol

import opik
from opik.evaluation import evaluate
from opik.evaluation.evaluation_result import EvaluationResult

from services.common.embedding import Embedder
from services.common.lambda_runtime import once_per_process
from services.evaluation.dataset.monitoring_dataset import Item, connect, filter_between, open_dataset, read_items
from services.evaluation.judges.session import JudgingReport, open_judge
from services.evaluation.metrics.drift import Profile
from services.evaluation.metrics.embedding_metrics import METRIC_VERSION, Vectors
from services.evaluation.metrics.summary import ItemScores
from services.evaluation.run.opik_metrics import (
    RecordedMetrics,
    answer_of,
    build_metrics,
    feedback,
    score_answers,
    stored_answer,
)
from services.evaluation.run.scored_shard import ScoredItem, ScoredShard
from services.evaluation.run.shards import Shard
from services.evaluation.settings import EvaluateSettings
from services.evaluation.state import State

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 30
STORED_WITHIN_SECONDS = 20.0
TASK_THREADS = 4
FREE_THREADS = 4
"""Threads without a judge: the free scores wait for no server, so that more would only overlap their bookkeeping."""
KEPT_SECONDS = 24 * 3600.0
"""How long the scores of a shard are kept for a run that is repeated."""


class ExperimentNotStoredError(RuntimeError):
    """Opik did not keep the whole experiment; the same items are judged again by the next run."""


class TextEmbedder(Protocol):
    """The part of `services.common.embedding.Embedder` that is used here."""

    model_id: str

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embeddings of the texts; see `Embedder.embed`."""
        ...


class ShardScorer:
    """Scores shards and keeps their results in the state table."""

    def __init__(
        self,
        settings: EvaluateSettings,
        state: State,
        opik_client: Callable[[], opik.Opik],
        embedder: Callable[[], TextEmbedder],
    ) -> None:
        """Keep the parts.

        Args:
            settings: of the function.
            state: the state table.
            opik_client: returns the client; called only when there is something to read or to score.
            embedder: returns the loaded model; called only when there is something to score.
        """
        self.settings = settings
        self.state = state
        self.opik_client = opik_client
        self._embedder = embedder

    @classmethod
    def from_settings(cls, settings: EvaluateSettings) -> ShardScorer:
        """A scorer with new clients."""
        return cls(
            settings,
            State(settings.state_table_name),
            once_per_process(lambda: connect(settings)),
            once_per_process(lambda: Embedder(settings.embedding_model_dir)),
        )

    def score_once(self, run: str, shard: Shard, *, again: bool = False) -> str | None:
        """Score a shard, unless its scores are kept already.

        Args:
            run: names the run in the experiment's config.
            shard: the items to score.
            again: score in any case, because a full evaluation was asked for.

        Returns:
            The experiment's name.

        Raises:
            DatasetMissing: there is no dataset.
            ExperimentNotStoredError: Opik did not take everything.
        """
        key = self._key(run if again else "", shard)
        known = self.state.read(key)
        if known is None:
            known = self.score(run, shard, "full" if again else "incremental").as_dict()
            self.state.write(key, known, KEPT_SECONDS)
        else:
            logger.info("the shard %s was judged before: %s", shard.key, known["experiment"])
        experiment: str | None = known["experiment"]
        return experiment

    def kept_scores(self, run: str, shard: Shard, *, again: bool = False) -> ScoredShard:
        """The result of `score_once`, which was called with the same arguments.

        Raises:
            LookupError: it was not called, or longer than a day ago.
        """
        known = self.state.read(self._key(run if again else "", shard))
        if known is None:
            raise LookupError(f"the scores of shard {shard.key} are not known")
        return ScoredShard.from_dict(known)

    def score(self, run: str, shard: Shard, mode: str) -> ScoredShard:
        """Score a shard as an experiment; `mode` is recorded with it. See `score_once` for the errors."""
        settings, client = self.settings, self.opik_client()
        dataset = open_dataset(client, settings.dataset_name)
        items = list(
            read_items(client, settings.dataset_name, settings.opik_project_name, shard.after, shard.until),
        )
        # A sampled request that failed has no answer to judge, and is counted separately.
        answers = {item.id: answer_of(item.data) for item in items if not item.metadata.get("error")}
        embedder = self._embedder()
        with open_judge(settings, self.state) as session:
            metrics = build_metrics(embedder.embed, session.judge if session else None)
            scores = score_answers(answers, metrics, max(settings.judge_concurrency if session else 1, FREE_THREADS))
        report = session.report() if session else None
        by_item = dict(zip(answers, scores, strict=True))
        config = experiment_config(settings, items, report)
        result = evaluate(
            dataset=dataset,
            task=stored_answer,
            scoring_metrics=[RecordedMetrics(by_item)],
            # Not by item ids: for those the SDK writes a file into the home folder, which is read-only in Lambda.
            dataset_filter_string=filter_between(shard.after, shard.until),
            experiment_name_prefix=f"monitoring-{settings.stage}",
            experiment_config={"run": run, "mode": mode, **config, "embedding_model_id": embedder.model_id},
            task_threads=TASK_THREADS,
            verbose=0,
        )
        scored = [_scored_item(item, by_item.get(item.id)) for item in items]
        # On the answers' own traces as well, where a person looks and `twin export` reads.
        if found := feedback(item.scores for item in scored):
            client.log_traces_feedback_scores(found, project_name=settings.opik_project_name)
        await_stored(client, result)
        profile = Profile.of([answer.output for answer in answers.values()])
        return ScoredShard(result.experiment_name, scored, report, profile)

    def _key(self, run: str, shard: Shard) -> str:
        return f"shard/{self.settings.dataset_name}/{run}/{shard.key}"


def experiment_config(
    settings: EvaluateSettings, items: Sequence[Item], judging: JudgingReport | None
) -> dict[str, Any]:
    """Record of the models, prompts and releases behind the items of an experiment."""

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
    }


def await_stored(client: opik.Opik, result: EvaluationResult, within_seconds: float = STORED_WITHIN_SECONDS) -> None:
    """Wait until Opik shows every judged item.

    The SDK sends in the background and reports a flush as done while messages are parked for a server that is away, so
    only reading back shows what was stored.

    Args:
        client: the client that the experiment was made with.
        result: the experiment.
        within_seconds: longest wait after the flush.

    Raises:
        ExperimentNotStoredError: something is missing after the limit.
    """
    expected = len(result.test_results)
    flushed = client.flush(timeout=FLUSH_SECONDS)
    deadline = time.monotonic() + within_seconds
    while flushed:
        stored = len(client.get_experiment_by_id(result.experiment_id).get_items())
        if stored >= expected:
            return
        if time.monotonic() > deadline:
            raise ExperimentNotStoredError(f"Opik holds {stored} of {expected} items of {result.experiment_name}")
        time.sleep(0.5)
    raise ExperimentNotStoredError(f"Opik did not take the results of {result.experiment_name} in {FLUSH_SECONDS} s")


def _scored_item(item: Item, scores: ItemScores | None) -> ScoredItem:
    known = scores or ItemScores(item.id, {})
    named = replace(known, trace_id=str(item.metadata.get("trace_id") or item.id))
    return ScoredItem(named, str(item.metadata.get("model_id") or "unknown"), not item.metadata.get("error"))
