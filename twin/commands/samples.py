"""`twin samples`: answers flagged by hand, and samples that could not be collected given another try."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from services.rag.monitoring.trace_sample import NotAnAnswer, sample_of
from twin.cdk import Progress
from twin.deployment import outputs
from twin.errors import TwinError
from twin.opik import opik_reader
from twin.stages import Stage

FLAGGED = "by hand"
MAX_BATCH = 10
"""SQS takes ten messages at once."""
REDRIVE_SECONDS = 600.0


def add(stage: Stage, trace_ids: Sequence[str]) -> list[str]:
    """Send the answers of traces to the samples queue; those in the dataset already replace themselves.

    All are read before the first is sent, so that a wrong id adds nothing.

    Returns:
        The ids, each once.

    Raises:
        TwinError: a trace does not exist or holds no question, or the queue did not take a sample.
    """
    found = outputs(stage)
    reader = opik_reader(stage)
    samples = []
    for trace_id in dict.fromkeys(trace_ids):
        trace = reader.read(trace_id)
        if trace is None:
            raise TwinError(f"There is no trace {trace_id}; nothing was added.")
        try:
            samples.append(sample_of(trace, FLAGGED))
        except NotAnAnswer as error:
            raise TwinError(f"{error} Nothing was added.") from None
    client = stage.client("sqs")
    for first in range(0, len(samples), MAX_BATCH):
        entries = [
            {"Id": str(number), "MessageBody": json.dumps(sample, ensure_ascii=False)}
            for number, sample in enumerate(samples[first : first + MAX_BATCH])
        ]
        answer = client.send_message_batch(QueueUrl=found["SamplesQueueUrl"], Entries=entries)
        if failed := answer.get("Failed"):
            raise TwinError(f"The samples queue did not take {len(failed)} samples: {failed[0].get('Message')}.")
    return [sample["trace_id"] for sample in samples]


def redrive(stage: Stage, progress: Progress) -> int:
    """Move every message of the dead-letter queue back and wait until that is done.

    Returns:
        How many were moved. What fails again comes back after its deliveries.

    Raises:
        TwinError: the move failed or takes longer than ten minutes.
    """
    client = stage.client("sqs")
    arn = _arn(client, outputs(stage)["SamplesDeadLetterQueueUrl"])
    waiting = _task(client, arn)
    if waiting.get("Status") != "RUNNING":
        client.start_message_move_task(SourceArn=arn)
    deadline = time.monotonic() + REDRIVE_SECONDS
    while (task := _task(client, arn)).get("Status") in ("RUNNING", "CANCELLING"):
        if time.monotonic() > deadline:
            raise TwinError(f"Messages are still being moved after {REDRIVE_SECONDS:.0f} s; they go on without us.")
        progress(f"moved {task.get('ApproximateNumberOfMessagesMoved', 0)}")
        time.sleep(0.5)
    if task.get("Status") != "COMPLETED":
        raise TwinError(f"The messages could not be moved: {task.get('FailureReason') or task.get('Status')}.")
    return int(task.get("ApproximateNumberOfMessagesMoved", 0))


def _arn(client: Any, url: str) -> str:
    attributes = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    return str(attributes["QueueArn"])


def _task(client: Any, arn: str) -> dict[str, Any]:
    """The latest move out of a queue; empty when there was none."""
    tasks = client.list_message_move_tasks(SourceArn=arn, MaxResults=1)["Results"]
    return dict(tasks[0]) if tasks else {}
