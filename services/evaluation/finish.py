"""The end of a run: publish what its shards gave, remember the worst answers, and only then move the watermark."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from services.evaluation.judge import judged
from services.evaluation.metrics.summary import summarise
from services.evaluation.quality_metrics import publish
from services.evaluation.settings import EvaluateSettings
from services.evaluation.shards import Shard
from services.evaluation.state import open_state
from services.evaluation.watermark import write_watermark

logger = logging.getLogger(__name__)

LATEST = "latest-run"
LATEST_SECONDS = 7 * 86400.0


def finish(settings: EvaluateSettings, run: str, shards: Sequence[Shard], *, full: bool = False) -> dict[str, Any]:
    """Publish the metrics of judged shards; without any, that there was nothing to judge.

    Returns:
        The fields of `metrics.summary.Summary`.

    Raises:
        LookupError: a shard was not judged. Then nothing is published.
    """
    items = [item for shard in shards for item in judged(settings, run, shard, again=full)]
    summary = asdict(summarise([item.scores for item in items]))
    publish(settings.metric_namespace, settings.stage, items)
    if shards:
        open_state(settings.state_table_name).write(LATEST, {"run": run, "worst": summary["worst"]}, LATEST_SECONDS)
        write_watermark(settings.watermark_parameter_name, shards[-1].until)
    logger.info("run %s: judged %d answers, %d scores failed", run, summary["scored"], summary["failed"])
    return summary
