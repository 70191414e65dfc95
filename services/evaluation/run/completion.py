"""End of a run: publish the shards' scores, keep the worst answers, and only then move the watermark."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import boto3

from services.evaluation.judges.session import JudgingReport
from services.evaluation.metrics.drift import Profile, measure_drift
from services.evaluation.metrics.summary import summarise
from services.evaluation.run.bookkeeping import write_worst_answers
from services.evaluation.run.quality_metrics import publish
from services.evaluation.run.shard_scoring import ShardScorer
from services.evaluation.run.shards import Shard
from services.evaluation.run.watermark import Watermark

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunCompletion:
    """The last step of a run.

    Attributes:
        scorer: keeps the scores of the shards.
        cloudwatch: client of `cloudwatch`.
        watermark: moved to the end of the last shard.
    """

    scorer: ShardScorer
    cloudwatch: Any
    watermark: Watermark

    @classmethod
    def from_scorer(cls, scorer: ShardScorer) -> RunCompletion:
        """A completion with new clients."""
        watermark = Watermark(boto3.client("ssm"), scorer.settings.watermark_parameter_name)
        return cls(scorer, boto3.client("cloudwatch"), watermark)

    def complete(self, run: str, shards: Sequence[Shard], *, full: bool = False) -> dict[str, Any]:
        """Publish the metrics of scored shards; without any, the metrics say that nothing was judged.

        Returns:
            The fields of `metrics.summary.Summary`, and `judging`: calls and cost of the judge (see `JudgingReport`),
            None without a judge.

        Raises:
            LookupError: a shard was not scored. Then nothing is published.
        """
        settings, state = self.scorer.settings, self.scorer.state
        known = [self.scorer.kept_scores(run, shard, again=full) for shard in shards]
        items = [item for shard in known for item in shard.items]
        reports = [shard.judging for shard in known if shard.judging]
        judging = functools.reduce(JudgingReport.combined_with, reports) if reports else None
        profiles = [shard.profile for shard in known if shard.profile]
        # A full run scores answers that the profile holds already.
        drift = None if full or not profiles else measure_drift(state, settings.dataset_name, _combined(profiles))
        summary = asdict(summarise([item.scores for item in items]))
        publish(self.cloudwatch, settings.metric_namespace, settings.stage, items, judging, drift)
        if shards:
            write_worst_answers(state, run, summary["worst"])
            self.watermark.write(shards[-1].until)
        logger.info("run %s: judged %d answers, %d scores failed", run, summary["scored"], summary["failed"])
        return {**summary, "judging": asdict(judging) if judging else None}


def _combined(profiles: Sequence[Profile]) -> Profile:
    return functools.reduce(Profile.combined_with, profiles)
