"""Lambda handler of an evaluation run: judges the sampled answers that are new since the last run.

The Scheduler calls it every hour, `collect_samples` calls it when enough new samples have come, and `twin evaluate`
calls it by hand. By then the samples are items of an Opik dataset.

1. Lease (`run/lease.py`): a conditional write in DynamoDB, so that only one run judges at a time. A run that finds
   the lease taken leaves a mark, reports "busy" and ends; the holder looks once more at its end.
2. Watermark (`run/watermark.py`): an SSM parameter with the creation time of the last judged item. The run reads the
   items after it; `{"full": true}` reads all.
3. Shards (`run/shards.py`): the items are split into windows of creation time that one call can judge.
4. Judge, one shard at a time (`run/shard_judging.py`): the free metrics run on every answer, the judge model's where
   the stage has a judge. Each shard is stored as an Opik experiment, its scores also on the answers' traces, and kept
   in DynamoDB for a day.
5. Finish (`run/finish.py`): publish the metrics to CloudWatch, remember the worst answers for the alarm's message,
   then move the watermark.

With more than one shard, steps 4 and 5 leave this function: it starts the state machine `twin-<stage>-judging` and
reports "started". A Distributed Map calls `judge_shard` per shard with retries, then `finish_run`, which gives the
lease back. One shard is judged here, within the Lambda's own time limit.

When something fails: the watermark moves last, so nothing is skipped. The next run starts at the same place and takes
over the scores of shards that were judged within a day; only a last shard to which new items came is judged again. A
run that raises gives the lease back; one that is killed loses it when the lease ends by itself. An answer that one
metric cannot score is a failed score, counted and shown; it does not stop the run. A judge that has used up its
monthly budget is not asked any more, and the free metrics go on.

From here CloudWatch compares the metrics with the thresholds (`infra/constructs/evaluation/alarms.py`), and an alarm
reaches people through `handlers/notify.py`. docs/monitoring.md has the whole picture.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import boto3

from services.common.lambda_runtime import LambdaContext, once_per_process, remaining_seconds, start
from services.evaluation.dataset.monitoring_dataset import DatasetMissing, Item, open_dataset, read_items
from services.evaluation.run.bookkeeping import Lease
from services.evaluation.run.completion import RunCompletion
from services.evaluation.run.shard_scoring import ShardScorer
from services.evaluation.run.shards import Shard, split
from services.evaluation.settings import EvaluateSettings

logger = logging.getLogger(__name__)

MARGIN_SECONDS = 30.0
"""A lease outlives the Lambda by this much, so that two can never judge at a time."""
UNLIMITED_SECONDS = 900.0
"""The longest run of a Lambda, assumed for a call without a context."""
FAN_OUT_SECONDS = 6 * 3600.0
"""The lease of a run over the state machine, which releases it at its end."""


def handler(event: dict[str, Any] | None, context: LambdaContext | None) -> dict[str, Any]:
    """Judge stored answers; `{"full": true}` judges every item, anything else those since the watermark.

    Two runs never judge at a time: the second one asks the first to look once more at its end and returns. The
    watermark moves only after the experiment is stored and the metrics are published: a failed run loses nothing, and
    what it had judged is not judged again.

    Returns:
        `{"state": "done" | "busy" | "started", "dataset", "experiment" (name, None when nothing is new), "scored",
        "failed", "means", "p10", "worst": [{"trace_id", <metric>: <score>}], "judging"}` (see
        `RunCompletion.complete`). "busy": another run is judging; "started": the state machine judges. Both report no
        scores.

    Raises:
        ExperimentNotStoredError: Opik did not take everything.
    """
    seconds = remaining_seconds(context) if context else UNLIMITED_SECONDS
    return _evaluation().evaluate(seconds, full=bool((event or {}).get("full")))


@dataclass(frozen=True)
class MonitoringEvaluation:
    """The evaluation of the monitoring dataset.

    Attributes:
        scorer: scores shards.
        completion: publishes their scores.
        stepfunctions: returns a client of `stepfunctions`; called only for more than one shard.
    """

    scorer: ShardScorer
    completion: RunCompletion
    stepfunctions: Callable[[], Any]

    @classmethod
    def from_settings(cls, settings: EvaluateSettings) -> MonitoringEvaluation:
        """An evaluation with new clients."""
        scorer = ShardScorer.from_settings(settings)
        stepfunctions = once_per_process(lambda: boto3.client("stepfunctions"))
        return cls(scorer, RunCompletion.from_scorer(scorer), stepfunctions)

    def evaluate(self, seconds: float, *, full: bool = False) -> dict[str, Any]:
        """Judge what is new, or with `full` every item, within `seconds`; see `handler`."""
        lease = Lease(self.scorer.state, uuid.uuid4().hex)
        if not lease.acquire(seconds + MARGIN_SECONDS):
            logger.info("another run is judging and will look once more at its end")
            return self._report("busy", None)
        try:
            report = self._run(lease, full=full)
            # Another run asked for the lease meanwhile and returned: this run judges what has come since.
            while report["state"] == "done" and not lease.release():
                lease.acquire(seconds + MARGIN_SECONDS)
                later = self._run(lease, full=False)
                report = later if later["experiment"] or later["state"] == "started" else report
        except BaseException:
            lease.drop()
            raise
        return report

    def _run(self, lease: Lease, *, full: bool) -> dict[str, Any]:
        settings = self.scorer.settings
        after = None if full else self.completion.watermark.read()
        client = self.scorer.opik_client()
        items: Iterable[Item] = ()
        try:
            open_dataset(client, settings.dataset_name)
        except DatasetMissing as missing:
            # A new stage until its first sample is collected: nothing to judge, which the metrics say.
            logger.warning("nothing to judge: %s", missing)
        else:
            items = read_items(client, settings.dataset_name, settings.opik_project_name, after)
        shards = split((item.created_at for item in items), after, settings.shard_size)
        if len(shards) > 1 and settings.state_machine_arn:
            lease.acquire(FAN_OUT_SECONDS)
            self._fan_out(lease.holder, shards, full=full)
            return self._report("started", None)
        experiments = [self.scorer.score_once(lease.holder, shard, again=full) for shard in shards]
        summary = self.completion.complete(lease.holder, shards, full=full)
        return self._report("done", experiments[-1] if experiments else None, summary)

    def _fan_out(self, run: str, shards: list[Shard], *, full: bool) -> None:
        """Start the state machine under the run's name, which makes a second start of the same run impossible."""
        work = [{"run": run, "full": full, "shard": shard.as_dict()} for shard in shards]
        self.stepfunctions().start_execution(
            stateMachineArn=self.scorer.settings.state_machine_arn,
            name=run,
            input=json.dumps({"run": run, "full": full, "work": work}),
        )
        logger.info("the state machine judges run %s in %d shards", run, len(shards))

    def _report(self, state: str, experiment: str | None, summary: dict[str, Any] | None = None) -> dict[str, Any]:
        nothing: dict[str, Any] = {"scored": 0, "failed": 0, "means": {}, "p10": {}, "worst": [], "judging": None}
        return {
            "state": state,
            "dataset": self.scorer.settings.dataset_name,
            "experiment": experiment,
            **(nothing if summary is None else summary),
        }


@once_per_process
def _evaluation() -> MonitoringEvaluation:
    return MonitoringEvaluation.from_settings(start(EvaluateSettings))
