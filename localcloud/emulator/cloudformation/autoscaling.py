"""AWS::ApplicationAutoScaling::ScalableTarget and ScalingPolicy."""

from __future__ import annotations

from localcloud.emulator.cloudformation.tags import retag
from localcloud.emulator.loopback import Loopback
from localcloud.emulator.registry import Created, Properties, ResourceType

SERVICE = "application-autoscaling"
TARGET = ("ResourceId", "ScalableDimension", "ServiceNamespace")


def resource_types(api: Loopback) -> dict[str, ResourceType]:
    """Both types over the Application Auto Scaling API."""
    return {
        "AWS::ApplicationAutoScaling::ScalableTarget": _target(api),
        "AWS::ApplicationAutoScaling::ScalingPolicy": _policy(api),
    }


def _target(api: Loopback) -> ResourceType:
    def register(properties: Properties) -> str:
        # Templates list tags, the API maps them; they are set apart, since registering again does not take any.
        arn: str = api.call(SERVICE, "RegisterScalableTarget", {**properties, "Tags": None})["ScalableTargetARN"]
        return arn

    def schedule(old: Properties, new: Properties) -> None:
        target = {key: new[key] for key in TARGET}
        wanted = new.get("ScheduledActions") or []
        for action in wanted:
            api.call(SERVICE, "PutScheduledAction", {**action, **target})
        names = {action["ScheduledActionName"] for action in wanted}
        for action in old.get("ScheduledActions") or []:
            if action["ScheduledActionName"] not in names:
                api.forget(SERVICE, "DeleteScheduledAction", {**action, **target})

    def tag(arn: str, old: Properties, new: Properties) -> None:
        retag(
            old,
            new,
            put=lambda tags: api.call(
                SERVICE, "TagResource", {"ResourceARN": arn, "Tags": {tag["Key"]: tag["Value"] for tag in tags}}
            ),
            drop=lambda keys: api.call(SERVICE, "UntagResource", {"ResourceARN": arn, "TagKeys": keys}),
        )

    def put(old: Properties, new: Properties) -> Created:
        arn = register(new)
        tag(arn, old, new)
        schedule(old, new)
        target = "|".join(new[key] for key in TARGET)
        return target, {"Id": target}

    return ResourceType(
        create=lambda logical_id, properties, stack: put({}, properties),
        delete=lambda _, properties: api.forget(SERVICE, "DeregisterScalableTarget", properties),
        update=lambda _, old, new: put(old, new),
        immutable=TARGET,
    )


def _policy(api: Loopback) -> ResourceType:
    def put(properties: Properties) -> Created:
        arn = api.call(SERVICE, "PutScalingPolicy", _resolved(properties))["PolicyARN"]
        return arn, {"Arn": arn}

    return ResourceType(
        create=lambda logical_id, properties, stack: put(properties),
        delete=lambda _, properties: api.forget(SERVICE, "DeleteScalingPolicy", _resolved(properties)),
        update=lambda _, old, new: put(new),
        immutable=("PolicyName", "ScalingTargetId", *TARGET),
    )


def _resolved(properties: Properties) -> Properties:
    if not properties.get("ScalingTargetId"):
        return properties
    return {**properties, **dict(zip(TARGET, properties["ScalingTargetId"].split("|"), strict=True))}
