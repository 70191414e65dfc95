"""Parking of a stage's model: no copy runs and no question wakes one, while the endpoint stays.

SageMaker keeps the container's image in a cache of the endpoint, which is purged with it: a model that was parked wakes
in half the time of one that was deleted. Source: AWS Machine Learning Blog, Introducing container caching in Amazon
SageMaker AI, 2026-06-16. Without copies, managed instance scaling ends the last instance, so that nothing is paid.
"""

from __future__ import annotations

import logging
from typing import Any

from botocore.exceptions import ClientError

from services.guard.clock import REAL, Clock

logger = logging.getLogger(__name__)

DIMENSION = "sagemaker:inference-component:DesiredCopyCount"
SUSPENDED = {"DynamicScalingOutSuspended": True, "ScheduledScalingSuspended": True}
"""What would give the component a copy again: the alarm that wakes it, and the start of office hours.
https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-suspend-resume-scaling.html"""
LOST = ("Failed", "Deleting")
"""Values of InferenceComponentStatus from which no copy count is set any more."""
# A wake without the cache takes 525 s (AWS's blog, above), and refuses every change until it is over.
PARKING_SECONDS = 600.0
POLL_SECONDS = 2.0
RETRY_SECONDS = 60.0


class ParkingError(RuntimeError):
    """A component cannot be parked; the message says why."""


def park(sagemaker: Any, scaling: Any, component: str, seconds: float, clock: Clock = REAL) -> None:
    """Suspend the scaling of a component and take its copies away; the call can be repeated.

    SageMaker refuses to change a component that is being created, woken or scaled: it is asked again every minute.

    Args:
        sagemaker: client of `sagemaker`.
        scaling: client of `application-autoscaling`.
        component: name of the inference component.
        seconds: longest time for all of it.
        clock: that counts them.

    Raises:
        ParkingError: AWS refuses, or the component is not without copies within `seconds`.
    """
    deadline = clock.now() + seconds
    try:
        # What does not exist must not become a scalable target.
        _describe(sagemaker, component)
        scaling.register_scalable_target(
            ServiceNamespace="sagemaker",
            ResourceId=f"inference-component/{component}",
            ScalableDimension=DIMENSION,
            SuspendedState=SUSPENDED,
        )
        _take_copies(sagemaker, component, deadline, clock)
    except ClientError as error:
        raise ParkingError(str(error)) from error


def _take_copies(sagemaker: Any, component: str, deadline: float, clock: Clock) -> None:
    asked, refusal = False, ""
    while True:
        status, wanted, running = _describe(sagemaker, component)
        if status == "InService" and wanted == running == 0:
            return
        if status == "InService" and wanted > 0:
            refusal = _ask(sagemaker, component)
            asked = not refusal
        pause = POLL_SECONDS if asked else RETRY_SECONDS
        if clock.now() + pause > deadline:
            raise ParkingError(refusal or f"{component} is still {status} with {running} of {wanted} copies")
        clock.sleep(pause)


def _describe(sagemaker: Any, component: str) -> tuple[str, int, int]:
    """Status, wanted and running copies.

    Raises:
        ParkingError: it failed or is being deleted.
    """
    found = sagemaker.describe_inference_component(InferenceComponentName=component)
    status, runtime = str(found["InferenceComponentStatus"]), found.get("RuntimeConfig", {})
    if status in LOST:
        raise ParkingError(f"{component} is {status}")
    return status, int(runtime.get("DesiredCopyCount", 0)), int(runtime.get("CurrentCopyCount", 0))


def _ask(sagemaker: Any, component: str) -> str:
    """Ask for no copies; gives why SageMaker refuses, or nothing."""
    try:
        sagemaker.update_inference_component_runtime_config(
            InferenceComponentName=component, DesiredRuntimeConfig={"CopyCount": 0}
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":
            raise
        logger.warning("parking %s again: %s", component, error)
        return str(error)
    return ""
