"""The state machine's last step: publishes what the shards gave and gives the lease back."""

from __future__ import annotations

import logging
from typing import Any

import boto3

from services.evaluation.run.finish import finish
from services.evaluation.run.lease import Lease
from services.evaluation.run.shards import Shard
from services.evaluation.run.start import start
from services.evaluation.storage.state import open_state

logger = logging.getLogger(__name__)


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Finish the run of `{"run", "full", "work": [{"shard"}], "failed": bool}`.

    A run whose shards failed publishes nothing and leaves the watermark where it is; the next run starts there and
    takes over the shards that were judged. When somebody asked for another run meanwhile, it is started.

    Returns:
        The fields of `metrics.summary.Summary`, or `{}` for a failed run.

    Raises:
        LookupError: a shard was not judged.
    """
    settings = start()
    lease = Lease(open_state(settings.state_table_name), event["run"])
    if event.get("failed"):
        logger.error("run %s failed; the next one starts where it did", event["run"])
        lease.drop()
        return {}
    shards = [Shard.from_dict(work["shard"]) for work in event["work"]]
    summary = finish(settings, event["run"], shards, full=event["full"])
    if not lease.release():
        lease.drop()
        if settings.evaluate_function_name:
            name = settings.evaluate_function_name
            boto3.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=b"{}")
    return summary
