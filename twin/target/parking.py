"""Whether the guard has parked the stage's model, and the way back.

`services/guard/parking.py` parks: without copies, and with its scaling suspended, the model is not woken by questions.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from infra.names import COPIES_DIMENSION, Names
from infra.settings.deployment import DeploymentSettings, SettingsError, load_settings
from twin.target.errors import TwinError
from twin.target.stage import Stage

SUSPENSIONS = ("DynamicScalingOutSuspended", "ScheduledScalingSuspended")


def is_parked(stage: Stage) -> bool:
    """Whether the scaling that would wake the model is suspended; False without a model that scales.

    Raises:
        botocore.exceptions.ClientError: Application Auto Scaling refuses to tell.
    """
    found = stage.client("application-autoscaling").describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[_resource(stage)], ScalableDimension=COPIES_DIMENSION
    )
    return any(target.get("SuspendedState", {}).get(SUSPENSIONS[0], False) for target in found["ScalableTargets"])


def parked(stage: Stage) -> str:
    """What to say of a parked stage."""
    return f"parked: `twin deploy --stage {stage.name}` brings it back"


def unpark(stage: Stage) -> bool:
    """Resume the scaling of a parked model, so that a question wakes it; whether there was anything to resume.

    Raises:
        TwinError: the stage's settings are wrong.
        botocore.exceptions.ClientError: Application Auto Scaling refuses.
    """
    if not is_parked(stage):
        return False
    try:
        bounds = present_bounds(load_settings(stage.name), datetime.now(UTC))
    except SettingsError as error:
        raise TwinError(str(error)) from None
    stage.client("application-autoscaling").register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId=_resource(stage),
        ScalableDimension=COPIES_DIMENSION,
        SuspendedState=dict.fromkeys(SUSPENSIONS, False),
        **bounds,
    )
    return True


def present_bounds(settings: DeploymentSettings, now: datetime) -> Mapping[str, Any]:
    """Bounds that the scheduled actions of office hours would have set by now; empty without office hours.

    A suspended action is not made up for: a model that was parked overnight would keep the night's maximum of 0.
    """
    hours = settings.guard.office_hours
    # Without a time zone database the bounds stay until the schedule's next action.
    if hours is None or hours.time_zone not in zoneinfo.available_timezones():
        return {}
    if not hours.contains(now):
        return {"MinCapacity": 0, "MaxCapacity": 0}
    return {"MinCapacity": int(hours.wake_at_start), "MaxCapacity": settings.llm.max_copies}


def _resource(stage: Stage) -> str:
    return f"inference-component/{Names(stage.prefix).inference_component}"
