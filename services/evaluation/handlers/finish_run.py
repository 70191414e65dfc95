"""Last step of the state machine: publishes the shards' scores and releases the lease."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from services.common.lambda_runtime import once_per_process, start
from services.evaluation.run.bookkeeping import Lease
from services.evaluation.run.completion import RunCompletion
from services.evaluation.run.function_call import start_evaluation
from services.evaluation.run.shard_scoring import ShardScorer
from services.evaluation.run.shards import Shard
from services.evaluation.settings import EvaluateSettings

logger = logging.getLogger(__name__)


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Finish the run of `{"run", "full", "work": [{"shard"}], "failed": bool}`.

    A run whose shards failed publishes nothing and leaves the watermark where it is; the next run starts there and
    uses the shards that were judged. When another run was asked for meanwhile, it is started.

    Returns:
        The fields of `metrics.summary.Summary`, or `{}` for a failed run.

    Raises:
        LookupError: a shard was not judged.
    """
    return finish_run(_completion(), event, start_evaluation)


def finish_run(completion: RunCompletion, event: dict[str, Any], invoke: Callable[[str], None]) -> dict[str, Any]:
    """Finish the run of an event; `invoke` starts the function of that name. See `handler`."""
    settings = completion.scorer.settings
    lease = Lease(completion.scorer.state, event["run"])
    if event.get("failed"):
        logger.error("run %s failed; the next one starts at the same watermark", event["run"])
        lease.drop()
        return {}
    shards = [Shard.from_dict(work["shard"]) for work in event["work"]]
    summary = completion.complete(event["run"], shards, full=event["full"])
    if not lease.release():
        lease.drop()
        if settings.evaluate_function_name:
            invoke(settings.evaluate_function_name)
    return summary


@once_per_process
def _completion() -> RunCompletion:
    return RunCompletion.from_scorer(ShardScorer.from_settings(start(EvaluateSettings)))
