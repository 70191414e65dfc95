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
from typing import Any

import boto3

from services.common.lambda_context import LambdaContext
from services.evaluation.dataset.monitoring_dataset import open_dataset, read_items
from services.evaluation.run.finish import finish
from services.evaluation.run.lease import Lease
from services.evaluation.run.shard_judging import client_of, judge
from services.evaluation.run.shards import Shard, split
from services.evaluation.run.start import start
from services.evaluation.run.watermark import read_watermark
from services.evaluation.settings import EvaluateSettings
from services.evaluation.storage.state import open_state

logger = logging.getLogger(__name__)

MARGIN_SECONDS = 30.0
"""A lease outlives the Lambda by this much, so that two can never judge at a time."""
UNLIMITED_SECONDS = 900.0
"""The longest run of a Lambda, assumed where there is no context to ask."""
FAN_OUT_SECONDS = 6 * 3600.0
"""The lease of a run over the state machine, which gives it back at its end."""


def handler(event: dict[str, Any] | None, context: LambdaContext | None) -> dict[str, Any]:
    """Judge stored answers; `{"full": true}` judges every item, anything else those since the watermark.

    Two runs never judge at a time: the second one asks the first to look once more at its end and goes. The watermark
    moves only after the experiment is stored and the metrics are published: a failed run loses nothing, and what it had
    judged is not judged again.

    Returns:
        `{"state": "done" | "busy" | "started", "dataset", "experiment" (name, None when nothing is new), "scored",
        "failed", "means", "p10", "worst": [{"trace_id", <metric>: <score>}], "judging"}` (see `finish`). "busy":
        another run is at it; "started": the state machine judges. Both report no scores.

    Raises:
        DatasetMissing: no sample was ever collected.
        ExperimentNotStoredError: Opik did not take everything.
    """
    settings = start()
    seconds = context.get_remaining_time_in_millis() / 1000 if context else UNLIMITED_SECONDS
    lease = Lease(open_state(settings.state_table_name), uuid.uuid4().hex)
    if not lease.acquire(seconds + MARGIN_SECONDS):
        logger.info("another run is at it and will look once more at its end")
        return _report(settings, "busy", None)
    try:
        report = _run(settings, lease, full=bool((event or {}).get("full")))
        # Whoever asked meanwhile went away: what came for them is this run's to judge.
        while report["state"] == "done" and not lease.release():
            lease.acquire(seconds + MARGIN_SECONDS)
            later = _run(settings, lease, full=False)
            report = later if later["experiment"] or later["state"] == "started" else report
    except BaseException:
        lease.drop()
        raise
    return report


def _run(settings: EvaluateSettings, lease: Lease, *, full: bool) -> dict[str, Any]:
    after = None if full else read_watermark(settings.watermark_parameter_name)
    client = client_of(settings)
    open_dataset(client, settings.dataset_name)
    items = read_items(client, settings.dataset_name, settings.opik_project_name, after)
    shards = split((item.created_at for item in items), after, settings.shard_size)
    if len(shards) > 1 and settings.state_machine_arn:
        lease.acquire(FAN_OUT_SECONDS)
        _fan_out(settings, lease.holder, shards, full=full)
        return _report(settings, "started", None)
    experiments = [judge(settings, lease.holder, shard, again=full) for shard in shards]
    summary = finish(settings, lease.holder, shards, full=full)
    return _report(settings, "done", experiments[-1] if experiments else None, summary)


def _fan_out(settings: EvaluateSettings, run: str, shards: list[Shard], *, full: bool) -> None:
    """Start the state machine under the run's name, which makes a second start of the same run impossible."""
    work = [{"run": run, "full": full, "shard": shard.as_dict()} for shard in shards]
    boto3.client("stepfunctions").start_execution(
        stateMachineArn=settings.state_machine_arn,
        name=run,
        input=json.dumps({"run": run, "full": full, "work": work}),
    )
    logger.info("run %s goes over the state machine in %d shards", run, len(shards))


def _report(
    settings: EvaluateSettings, state: str, experiment: str | None, summary: dict[str, Any] | None = None
) -> dict[str, Any]:
    nothing: dict[str, Any] = {"scored": 0, "failed": 0, "means": {}, "p10": {}, "worst": [], "judging": None}
    return {
        "state": state,
        "dataset": settings.dataset_name,
        "experiment": experiment,
        **(nothing if summary is None else summary),
    }
