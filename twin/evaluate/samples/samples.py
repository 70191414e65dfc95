"""`twin samples`: adds answers by hand, and redrives samples that could not be collected."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from services.rag.sampling.trace_sample import NotAnAnswer, sample_of
from twin.target.deployment import outputs
from twin.target.errors import TwinError
from twin.target.opik_client import opik_reader
from twin.target.progress import Progress
from twin.target.stage import Stage

FLAGGED = "by hand"
MAX_BATCH = 10
"""SQS takes ten messages at once."""
WAIT_SECONDS = 2
HIDDEN_SECONDS = 120


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
    """Move every message of the dead-letter queue back into the queue.

    A message is deleted only after the queue has taken it: interrupted, one may be there twice, and the dataset holds
    its sample once all the same.

    Returns:
        How many were moved. What fails again comes back after its deliveries.

    Raises:
        TwinError: the samples queue did not take a message.
    """
    found = outputs(stage)
    client = stage.client("sqs")
    source, target = found["SamplesDeadLetterQueueUrl"], found["SamplesQueueUrl"]
    moved = 0
    while messages := _receive(client, source):
        entries = [{"Id": str(number), "MessageBody": each["Body"]} for number, each in enumerate(messages)]
        failed = client.send_message_batch(QueueUrl=target, Entries=entries).get("Failed", [])
        lost = {int(each["Id"]) for each in failed}
        done = [
            {"Id": str(number), "ReceiptHandle": each["ReceiptHandle"]}
            for number, each in enumerate(messages)
            if number not in lost
        ]
        if done:
            client.delete_message_batch(QueueUrl=source, Entries=done)
            moved += len(done)
            progress(f"moved {moved}")
        if failed:
            raise TwinError(f"The samples queue did not take {len(failed)} messages: {failed[0].get('Message')}.")
    return moved


def _receive(client: Any, url: str) -> list[dict[str, Any]]:
    """The next messages; a short poll may miss some that are there, so this one waits."""
    answer = client.receive_message(
        QueueUrl=url, MaxNumberOfMessages=MAX_BATCH, WaitTimeSeconds=WAIT_SECONDS, VisibilityTimeout=HIDDEN_SECONDS
    )
    return list(answer.get("Messages", []))
