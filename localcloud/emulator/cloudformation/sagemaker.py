"""AWS::SageMaker::Model, EndpointConfig, Endpoint, InferenceComponent.

Ref is the ARN of all four. Models and endpoint configs change nothing but their tags; an endpoint updates in place to
another config. Endpoints and components are complete when they are in service, as on AWS.
"""

from __future__ import annotations

from localcloud.emulator.cloudformation.tags import retag
from localcloud.emulator.loopback import Loopback
from localcloud.emulator.registry import Created, Properties, ResourceType, physical_name
from localcloud.emulator.settling import StabilisationError, wait_until_settled

MODEL = (
    "Containers",
    "EnableNetworkIsolation",
    "ExecutionRoleArn",
    "InferenceExecutionConfig",
    "ModelName",
    "PrimaryContainer",
    "VpcConfig",
)
CONFIG = (
    "AsyncInferenceConfig",
    "DataCaptureConfig",
    "EnableNetworkIsolation",
    "EndpointConfigName",
    "ExecutionRoleArn",
    "ExplainerConfig",
    "KmsKeyId",
    "MetricsConfig",
    "ProductionVariants",
    "ShadowProductionVariants",
    "VpcConfig",
)
COMPONENT = ("InferenceComponentName", "EndpointName", "VariantName")
"""The public schema calls nothing of a component immutable, yet its update call takes none of these."""


def resource_types(api: Loopback) -> dict[str, ResourceType]:
    """The four types over the SageMaker API."""
    return {
        "AWS::SageMaker::Model": _fixed(api, "Model", MODEL),
        "AWS::SageMaker::EndpointConfig": _fixed(api, "EndpointConfig", CONFIG),
        "AWS::SageMaker::Endpoint": _endpoint(api),
        "AWS::SageMaker::InferenceComponent": _component(api),
    }


def _name(arn: str) -> str:
    return arn.rpartition("/")[2]


def _created(kind: str, arn: str) -> Created:
    return arn, {f"{kind}Name": _name(arn), f"{kind}Arn": arn}


def _delete(api: Loopback, kind: str, arn: str) -> None:
    api.delete("sagemaker", f"Delete{kind}", {f"{kind}Name": _name(arn)})


def _retag(api: Loopback, arn: str, old: Properties, new: Properties) -> None:
    retag(
        old,
        new,
        put=lambda tags: api.call("sagemaker", "AddTags", {"ResourceArn": arn, "Tags": tags}),
        drop=lambda keys: api.call("sagemaker", "DeleteTags", {"ResourceArn": arn, "TagKeys": keys}),
    )


def _fixed(api: Loopback, kind: str, immutable: tuple[str, ...]) -> ResourceType:
    name_key = f"{kind}Name"

    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        """Physical id (the ARN) and attributes of a new model or endpoint configuration."""
        name = properties.get(name_key) or physical_name(stack, logical_id)
        made = api.call("sagemaker", f"Create{kind}", {**properties, name_key: name})
        return _created(kind, made[f"{kind}Arn"])

    def update(arn: str, old: Properties, new: Properties) -> Created:
        """Physical id and attributes after the tags were changed."""
        _retag(api, arn, old, new)
        return _created(kind, arn)

    return ResourceType(create, lambda arn, _: _delete(api, kind, arn), update, immutable, name=name_key)


def _endpoint(api: Loopback) -> ResourceType:
    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        """Physical id (the ARN) and attributes once the endpoint is in service.

        Raises:
            StabilisationError: it did not get into service and was deleted again.
        """
        name = properties.get("EndpointName") or physical_name(stack, logical_id)
        arn = api.call("sagemaker", "CreateEndpoint", {**properties, "EndpointName": name})["EndpointArn"]
        _stabilise_or_delete(api, "Endpoint", arn)
        return _created("Endpoint", arn)

    def update(arn: str, old: Properties, new: Properties) -> Created:
        """Physical id and attributes once the endpoint is in service again; changed tags alone do not update it.

        Raises:
            StabilisationError: the update failed; the endpoint still runs its previous configuration.
        """
        _retag(api, arn, old, new)
        if _changed(old, new):
            api.call("sagemaker", "UpdateEndpoint", {**new, "EndpointName": _name(arn)})
            _stabilise(api, "Endpoint", arn)
        return _created("Endpoint", arn)

    return ResourceType(create, lambda arn, _: _delete(api, "Endpoint", arn), update, immutable=("EndpointName",))


def _component(api: Loopback) -> ResourceType:
    kind = "InferenceComponent"

    def created(arn: str) -> Created:
        """Physical id and the attributes that GetAtt returns, as described now."""
        described = api.call("sagemaker", "DescribeInferenceComponent", {"InferenceComponentName": _name(arn)})
        keys = ("InferenceComponentArn", "InferenceComponentName", "InferenceComponentStatus")
        return arn, {key: described[key] for key in keys}

    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        """Physical id (the ARN) and attributes once the component is in service.

        Raises:
            StabilisationError: it did not get into service and was deleted again.
        """
        name = properties.get("InferenceComponentName") or physical_name(stack, logical_id)
        wanted = {**properties, "InferenceComponentName": name}
        arn = api.call("sagemaker", "CreateInferenceComponent", wanted)["InferenceComponentArn"]
        _stabilise_or_delete(api, kind, arn)
        return created(arn)

    def update(arn: str, old: Properties, new: Properties) -> Created:
        """Physical id and attributes once the component is in service again; changed tags alone do not update it.

        Raises:
            StabilisationError: the update failed; the component still runs its previous specification.
        """
        _retag(api, arn, old, new)
        if _changed(old, new):
            api.call("sagemaker", "UpdateInferenceComponent", {**new, "InferenceComponentName": _name(arn)})
            _stabilise(api, kind, arn)
        return created(arn)

    return ResourceType(create, lambda arn, _: _delete(api, kind, arn), update, immutable=COMPONENT)


def _changed(old: Properties, new: Properties) -> bool:
    return {**old, "Tags": None} != {**new, "Tags": None}


def _stabilise_or_delete(api: Loopback, kind: str, arn: str) -> None:
    try:
        _stabilise(api, kind, arn)
    except StabilisationError:
        _delete(api, kind, arn)
        raise


def _stabilise(api: Loopback, kind: str, arn: str) -> None:
    """Wait until the resource is in service, without a limit of its own: the control plane fails what takes too long.

    Raises:
        StabilisationError: it failed, or an update was undone (in service with a failure reason).
    """
    name = _name(arn)

    def look() -> str | None:
        """What has become of the resource, as `wait_until_settled` wants it."""
        described = api.call("sagemaker", f"Describe{kind}", {f"{kind}Name": name})
        status, reason = described[f"{kind}Status"], described.get("FailureReason") or ""
        if status == "InService" and not reason:
            return ""
        return f"{kind} {name}: {reason or 'it failed without a reason'}" if status in ("Failed", "InService") else None

    wait_until_settled(look)
