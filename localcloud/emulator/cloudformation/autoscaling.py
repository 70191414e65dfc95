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
        """The ARN of the scalable target, registered or changed in place (RegisterScalableTarget does both)."""
        # Templates list tags, the API maps them; they are set apart, since registering again does not take any.
        arn: str = api.call(SERVICE, "RegisterScalableTarget", {**properties, "Tags": None})["ScalableTargetARN"]
        return arn

    def schedule(old: Properties, new: Properties) -> None:
        """Put every scheduled action of `new`, then delete those of `old` that it no longer lists."""
        target = {key: new[key] for key in TARGET}
        wanted = new.get("ScheduledActions") or []
        for action in wanted:
            api.call(SERVICE, "PutScheduledAction", {**action, **target})
        names = {action["ScheduledActionName"] for action in wanted}
        for action in old.get("ScheduledActions") or []:
            if action["ScheduledActionName"] not in names:
                api.delete(SERVICE, "DeleteScheduledAction", {**action, **target})

    def tag(arn: str, old: Properties, new: Properties) -> None:
        """Bring the tags of the target from `old` to `new`."""
        retag(
            old,
            new,
            put=lambda tags: api.call(
                SERVICE, "TagResource", {"ResourceARN": arn, "Tags": {tag["Key"]: tag["Value"] for tag in tags}}
            ),
            drop=lambda keys: api.call(SERVICE, "UntagResource", {"ResourceARN": arn, "TagKeys": keys}),
        )

    def put(old: Properties, new: Properties) -> Created:
        """Physical id (resource id, dimension and namespace, joined by `|`, as Ref returns it on AWS) and attributes.

        Source:
        https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-applicationautoscaling-scalabletarget.html
        """
        arn = register(new)
        tag(arn, old, new)
        schedule(old, new)
        target = "|".join(new[key] for key in TARGET)
        return target, {"Id": target}

    return ResourceType(
        create=lambda logical_id, properties, stack: put({}, properties),
        delete=lambda _, properties: api.delete(SERVICE, "DeregisterScalableTarget", properties),
        update=lambda _, old, new: put(old, new),
        immutable=TARGET,
    )


def _policy(api: Loopback) -> ResourceType:
    def put(properties: Properties) -> Created:
        """Physical id (the ARN) and attributes of a policy, created or replaced as a whole (PutScalingPolicy does
        both).
        """
        arn = api.call(SERVICE, "PutScalingPolicy", _resolved(properties))["PolicyARN"]
        return arn, {"Arn": arn}

    return ResourceType(
        create=lambda logical_id, properties, stack: put(properties),
        delete=lambda _, properties: api.delete(SERVICE, "DeleteScalingPolicy", _resolved(properties)),
        update=lambda _, old, new: put(new),
        immutable=("PolicyName", "ScalingTargetId", *TARGET),
    )


def _resolved(properties: Properties) -> Properties:
    if not properties.get("ScalingTargetId"):
        return properties
    return {**properties, **dict(zip(TARGET, properties["ScalingTargetId"].split("|"), strict=True))}
