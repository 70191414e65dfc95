"""`twin evaluate`: run the monitoring evaluation now."""

from __future__ import annotations

import json
import time
from typing import Any

from twin.deployment import outputs
from twin.errors import TwinError
from twin.stages import Stage

LAMBDA_SECONDS = 900
QUEUE_POLL_SECONDS = 0.5


def wait_for_samples(stage: Stage, found: dict[str, str], seconds: float) -> None:
    """Wait until every sample in the queue has been collected into the dataset.

    Raises:
        TwinError: when samples are still queued after `seconds`.
    """
    client = stage.client("sqs")
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    deadline = time.monotonic() + seconds
    while True:
        attributes = client.get_queue_attributes(QueueUrl=found["SamplesQueueUrl"], AttributeNames=names)["Attributes"]
        waiting = sum(int(attributes[name]) for name in names)
        if waiting == 0:
            return
        if time.monotonic() > deadline:
            raise TwinError(f"{waiting} samples are still in {found['SamplesQueueUrl']} after {seconds:.0f} s.")
        time.sleep(QUEUE_POLL_SECONDS)


def evaluate(stage: Stage, *, full: bool = False) -> dict[str, Any]:
    """Invoke the evaluation Lambda and return its report: dataset, experiment, scored, failed, means, p10, worst.

    Raises:
        TwinError: with the Lambda's own sentence, for example when the dataset is missing.
    """
    found = outputs(stage)
    client = stage.client("lambda", read_timeout=LAMBDA_SECONDS, retries={"max_attempts": 0})
    response = client.invoke(FunctionName=found["EvaluateFunctionName"], Payload=json.dumps({"full": full}).encode())
    report = json.loads(response["Payload"].read() or b"null")
    if response.get("FunctionError"):
        reason = (report or {}).get("errorMessage") or "it failed without a message"
        raise TwinError(f"The evaluation failed: {reason}")
    if not isinstance(report, dict):
        raise TwinError(f"The evaluation answered with {report!r} instead of a report.")
    return report
