"""A poller like Lambda's: receive, call the handler, delete what it did not report. Dies at a given point.

`python -m tests.integration.evaluation.poller QUEUE_URL POINT`: the process kills itself at POINT in its second batch;
the point `none` ends when the queue stays empty.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import boto3

POINTS = ("received", "parsed", "inserted", "answered", "half-deleted")
BATCH = 5
HIDDEN_SECONDS = 2
EMPTY_POLLS = 4


class Death:
    """Kills the process at one point of its second batch."""

    def __init__(self, point: str) -> None:
        self._point = point
        self.batch = 0

    def at(self, point: str) -> None:
        if point == self._point and self.batch == 2:
            os.kill(os.getpid(), signal.SIGKILL)


def main(url: str, point: str) -> None:
    from services.evaluation.handlers.collect_samples import SampleCollector, handler

    death = Death(point)
    _die_before(SampleCollector, "store", "parsed", death)
    _die_before(SampleCollector, "count", "inserted", death)
    sqs = boto3.client("sqs")
    empty = 0
    while empty < EMPTY_POLLS:
        found = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=BATCH, WaitTimeSeconds=1, VisibilityTimeout=HIDDEN_SECONDS
        ).get("Messages", [])
        empty = 0 if found else empty + 1
        if not found:
            continue
        death.batch += 1
        death.at("received")
        records = [{"messageId": each["MessageId"], "body": each["Body"]} for each in found]
        answer = handler({"Records": records}, None)
        death.at("answered")
        failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
        for number, each in enumerate(found):
            if number == len(found) // 2:
                death.at("half-deleted")
            if each["MessageId"] not in failed:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])


def _die_before(owner: Any, name: str, point: str, death: Death) -> None:
    real: Callable[..., Any] = getattr(owner, name)

    def dying(*arguments: Any) -> Any:
        death.at(point)
        return real(*arguments)

    setattr(owner, name, dying)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
