"""The state machine's map function: judges one shard."""

from __future__ import annotations

from typing import Any

from services.evaluation.run.shard_judging import judge
from services.evaluation.run.shards import Shard
from services.evaluation.run.start import start


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Judge the shard of `{"run", "full", "shard": {"after", "until"}}`; called again, it judges nothing anew.

    Returns:
        `{"experiment": name}`. The scores stay in the table: a state machine carries 256 KB at most.

    Raises:
        DatasetMissing, ExperimentNotStoredError: see `judge`.
    """
    shard = Shard.from_dict(event["shard"])
    return {"experiment": judge(start(), event["run"], shard, again=event["full"])}
