"""The end of a run: publish what its shards gave, remember the worst answers, and only then move the watermark."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from services.evaluation.judges.session import JudgingReport
from services.evaluation.metrics.drift import Profile, measure_drift
from services.evaluation.metrics.summary import summarise
from services.evaluation.run.latest_run import remember_worst
from services.evaluation.run.quality_metrics import publish
from services.evaluation.run.shard_judging import judged
from services.evaluation.run.shards import Shard
from services.evaluation.run.watermark import write_watermark
from services.evaluation.settings import EvaluateSettings
from services.evaluation.storage.state import open_state

logger = logging.getLogger(__name__)


def finish(settings: EvaluateSettings, run: str, shards: Sequence[Shard], *, full: bool = False) -> dict[str, Any]:
    """Publish the metrics of judged shards; without any, that there was nothing to judge.

    Returns:
        The fields of `metrics.summary.Summary`, and `judging`: what the judge did and cost (see `JudgingReport`), None
        without a judge.

    Raises:
        LookupError: a shard was not judged. Then nothing is published.
    """
    known = [judged(settings, run, shard, again=full) for shard in shards]
    items = [item for shard in known for item in shard.items]
    reports = [shard.judging for shard in known if shard.judging]
    judging = functools.reduce(JudgingReport.with_, reports) if reports else None
    profiles = [shard.profile for shard in known if shard.profile]
    state = open_state(settings.state_table_name)
    # A full run looks at answers that the profile knows already.
    drift = None if full or not profiles else measure_drift(state, settings.dataset_name, _together(profiles))
    summary = asdict(summarise([item.scores for item in items]))
    publish(settings.metric_namespace, settings.stage, items, judging, drift)
    if shards:
        remember_worst(state, run, summary["worst"])
        write_watermark(settings.watermark_parameter_name, shards[-1].until)
    logger.info("run %s: judged %d answers, %d scores failed", run, summary["scored"], summary["failed"])
    return {**summary, "judging": asdict(judging) if judging else None}


def _together(profiles: Sequence[Profile]) -> Profile:
    return functools.reduce(Profile.beside, profiles)
