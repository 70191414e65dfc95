"""`twin evaluate`: run the monitoring evaluation now."""

from __future__ import annotations

import json
from typing import Any

from twin.target.deployment import outputs
from twin.target.errors import TwinError
from twin.target.opik_client import opik_reader
from twin.target.stage import Stage

LAMBDA_SECONDS = 900
SAMPLE_SECONDS = 45.0


def evaluate_answer(stage: Stage, trace_id: str) -> dict[str, Any]:
    """Wait until the answer's sample is in the dataset, then evaluate.

    Raises:
        TwinError: when it does not arrive, or the evaluation fails.
    """
    opik_reader(stage).wait_for_item(outputs(stage)["DatasetName"], trace_id, SAMPLE_SECONDS)
    return evaluate(stage)


def evaluate(stage: Stage, *, full: bool = False) -> dict[str, Any]:
    """Invoke the evaluation Lambda and return its report: dataset, experiment, scored, failed, means, p10, worst.

    Raises:
        TwinError: with the Lambda's own sentence, for example when Opik refuses its key.
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
