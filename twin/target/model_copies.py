"""Copies of the stage's model: how many SageMaker has, and how many it is to have."""

from __future__ import annotations

from dataclasses import dataclass

from botocore.exceptions import ClientError

from infra.names import Names
from twin.target.stage import Stage


@dataclass(frozen=True)
class Copies:
    """Copies of an inference component: those in service, and those that scaling asked for last."""

    current: int
    desired: int


def model_copies(stage: Stage) -> Copies | None:
    """Copies of the stage's inference component; None where there is none, as before the first deployment.

    Raises:
        botocore.exceptions.ClientError: SageMaker refuses to tell.
    """
    name = Names(stage.prefix).inference_component
    try:
        described = stage.client("sagemaker").describe_inference_component(InferenceComponentName=name)
    except ClientError as error:
        if "Could not find" not in str(error):
            raise
        return None
    runtime = described.get("RuntimeConfig", {})
    if "DesiredCopyCount" not in runtime:
        return None
    return Copies(current=int(runtime.get("CurrentCopyCount", 0)), desired=int(runtime["DesiredCopyCount"]))
