"""Waits after a deployment in CloudFormation's express mode for the model's endpoint, which that does not wait for.

The service, its tasks and the way to it are waited for by `ready.py`, which asks them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twin.target.errors import TwinError
from twin.target.progress import Progress
from twin.target.stage import Stage

SECONDS = 3600.0
"""As long as CloudFormation's own waits were seen to take."""
POLL_SECONDS = 10.0
IN_SERVICE, FAILED = "InService", "Failed"


def wait_until_settled(stage: Stage, found: Mapping[str, str], progress: Progress) -> None:
    """Wait until the endpoint and its component are in service.

    Args:
        stage: where.
        found: the stage's outputs.
        progress: told what it waits for.

    Raises:
        TwinError: one of them has failed, with SageMaker's reason, or takes longer than an hour. CloudFormation calls
            its stack complete all the same, so that nothing is rolled back.
    """
    client, said = stage.client("sagemaker"), ""
    deadline = stage.clock.deadline(SECONDS)
    while True:
        states = {
            "endpoint": _state(client.describe_endpoint(EndpointName=found["EndpointName"]), "EndpointStatus"),
        }
        if component := found.get("InferenceComponentName"):
            described = client.describe_inference_component(InferenceComponentName=component)
            states["inference component"] = _state(described, "InferenceComponentStatus")
        waits = {kind: state for kind, (state, _) in states.items() if state != IN_SERVICE}
        if not waits:
            return
        for kind, (state, reason) in states.items():
            if state == FAILED:
                raise TwinError(
                    f"The {kind} of stage {stage.name} has failed after CloudFormation was done with it, so nothing "
                    f"was rolled back: {reason or 'SageMaker gives no reason'}. Deploy again, or delete the stage."
                )
        line = ", ".join(f"{kind} is {state}" for kind, state in waits.items())
        if deadline.passed:
            raise TwinError(f"Stage {stage.name} is not in service after {SECONDS / 60:.0f} minutes: {line}.")
        if line != said:
            progress(f"{'waiting':<24} {line}")
            said = line
        stage.clock.sleep(POLL_SECONDS)


def _state(described: Mapping[str, Any], key: str) -> tuple[str, str]:
    return str(described[key]), str(described.get("FailureReason") or "")
