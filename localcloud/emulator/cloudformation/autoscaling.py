"""AWS::ApplicationAutoScaling::ScalableTarget and ScalingPolicy."""

from __future__ import annotations

from localcloud.emulator.loopback import Loopback
from localcloud.emulator.registry import Created, Properties, ResourceType

SERVICE = "application-autoscaling"
TARGET = ("ResourceId", "ScalableDimension", "ServiceNamespace")


def resource_types(api: Loopback) -> dict[str, ResourceType]:
    """Both types over the Application Auto Scaling API."""

    def register(logical_id: str, properties: Properties, stack: str) -> Created:
        # Templates list tags, the API maps them.
        tags = {tag["Key"]: tag["Value"] for tag in properties.get("Tags", ())}
        api.call(SERVICE, "RegisterScalableTarget", {**properties, "Tags": tags})
        target = "|".join(properties[key] for key in TARGET)
        return target, {"Id": target}

    def put(logical_id: str, properties: Properties, stack: str) -> Created:
        arn = api.call(SERVICE, "PutScalingPolicy", _resolved(properties))["PolicyARN"]
        return arn, {"Arn": arn}

    return {
        "AWS::ApplicationAutoScaling::ScalableTarget": ResourceType(
            create=register,
            delete=lambda _, properties: api.forget(SERVICE, "DeregisterScalableTarget", properties),
            update=lambda _, properties, stack, logical_id: register(logical_id, properties, stack),
            immutable=TARGET,
        ),
        "AWS::ApplicationAutoScaling::ScalingPolicy": ResourceType(
            create=put,
            delete=lambda _, properties: api.forget(SERVICE, "DeleteScalingPolicy", _resolved(properties)),
            update=lambda _, properties, stack, logical_id: put(logical_id, properties, stack),
            immutable=("PolicyName", "ScalingTargetId", *TARGET),
        ),
    }


def _resolved(properties: Properties) -> Properties:
    if not properties.get("ScalingTargetId"):
        return properties
    return {**properties, **dict(zip(TARGET, properties["ScalingTargetId"].split("|"), strict=True))}
