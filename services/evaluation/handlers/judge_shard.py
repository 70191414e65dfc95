"""Map function of the state machine: judges one shard."""

from __future__ import annotations

from typing import Any

from services.common.lambda_runtime import once_per_process, start
from services.evaluation.run.shard_scoring import ShardScorer
from services.evaluation.run.shards import Shard
from services.evaluation.settings import EvaluateSettings


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Judge the shard of `{"run", "full", "shard": {"after", "until"}}`; called again, it judges nothing anew.

    Returns:
        `{"experiment": name}`. The scores stay in the table: a state machine carries 256 KB at most.

    Raises:
        DatasetMissing, ExperimentNotStoredError: see `ShardScorer.score_once`.
    """
    return judge_shard(_scorer(), event)


def judge_shard(scorer: ShardScorer, event: dict[str, Any]) -> dict[str, Any]:
    """Score the shard of an event; see `handler`."""
    return {
        "experiment": scorer.score_once(event["run"], Shard.from_dict(event["shard"]), again=event["full"]),
    }


@once_per_process
def _scorer() -> ShardScorer:
    return ShardScorer.from_settings(start(EvaluateSettings))
