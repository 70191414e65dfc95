"""AWS::SageMaker::Model, EndpointConfig, Endpoint, InferenceComponent.

Models and endpoint configs are immutable: every change replaces. An endpoint updates in place to another config.
Endpoints and components are complete when they are in service, as on AWS.
"""

from __future__ import annotations

import os
import time
from typing import Any

from localcloud.emulator.loopback import Loopback
from localcloud.emulator.registry import Created, Properties, ResourceType, physical_name

POLL_SECONDS = 0.2
DEFAULT_STABILISE_SECONDS = 60.0


class StabilisationError(RuntimeError):
    """The resource did not get into service; the message is CloudFormation's status reason."""


def resource_types(api: Loopback) -> dict[str, ResourceType]:
    """The four types over the SageMaker API."""
    return {
        "AWS::SageMaker::Model": _immutable(api, "Model"),
        "AWS::SageMaker::EndpointConfig": _immutable(api, "EndpointConfig"),
        "AWS::SageMaker::Endpoint": _endpoint(api),
        "AWS::SageMaker::InferenceComponent": _component(api),
    }


def _immutable(api: Loopback, kind: str) -> ResourceType:
    name_key = f"{kind}Name"

    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        name = properties.get(name_key) or physical_name(stack, logical_id)
        api.call("sagemaker", f"Create{kind}", {**properties, name_key: name})
        return name, {name_key: name}

    return ResourceType(create, lambda name, _: api.forget("sagemaker", f"Delete{kind}", {name_key: name}))


def _endpoint(api: Loopback) -> ResourceType:
    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        name = properties.get("EndpointName") or physical_name(stack, logical_id)
        api.call("sagemaker", "CreateEndpoint", {**properties, "EndpointName": name})
        try:
            _stabilise(api, "Endpoint", name)
        except StabilisationError:
            api.forget("sagemaker", "DeleteEndpoint", {"EndpointName": name})
            raise
        return name, {"EndpointName": name}

    def update(name: str, properties: Properties, stack: str, logical_id: str) -> Created:
        api.call("sagemaker", "UpdateEndpoint", {**properties, "EndpointName": name})
        _stabilise(api, "Endpoint", name)
        return name, {"EndpointName": name}

    def delete(name: str, _: Properties) -> None:
        api.forget("sagemaker", "DeleteEndpoint", {"EndpointName": name})

    return ResourceType(create, delete, update, immutable=("EndpointName",))


def _component(api: Loopback) -> ResourceType:
    def attributes(name: str) -> dict[str, Any]:
        described = api.call("sagemaker", "DescribeInferenceComponent", {"InferenceComponentName": name})
        keys = ("InferenceComponentArn", "InferenceComponentName", "InferenceComponentStatus")
        return {key: described[key] for key in keys}

    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        name = properties.get("InferenceComponentName") or physical_name(stack, logical_id)
        api.call("sagemaker", "CreateInferenceComponent", {**properties, "InferenceComponentName": name})
        try:
            _stabilise(api, "InferenceComponent", name)
        except StabilisationError:
            delete(name, properties)
            raise
        found = attributes(name)
        return found["InferenceComponentArn"], found

    def update(arn: str, properties: Properties, stack: str, logical_id: str) -> Created:
        name = arn.rpartition("/")[2]
        api.call("sagemaker", "UpdateInferenceComponent", {**properties, "InferenceComponentName": name})
        _stabilise(api, "InferenceComponent", name)
        return arn, attributes(name)

    def delete(arn: str, _: Properties) -> None:
        name = arn.rpartition("/")[2]
        api.forget("sagemaker", "DeleteInferenceComponent", {"InferenceComponentName": name})

    immutable = ("InferenceComponentName", "EndpointName", "VariantName")
    return ResourceType(create, delete, update, immutable)


def _stabilise(api: Loopback, kind: str, name: str) -> None:
    longest = float(os.environ.get("LOCALCLOUD_STABILISE_SECONDS", DEFAULT_STABILISE_SECONDS))
    deadline = time.monotonic() + longest
    while True:
        described = api.call("sagemaker", f"Describe{kind}", {f"{kind}Name": name})
        status = described[f"{kind}Status"]
        reason = described.get("FailureReason") or ""
        if status == "InService" and not reason:
            return
        if status in ("Failed", "InService"):
            raise StabilisationError(f"{kind} {name}: {reason or 'it failed without a reason'}")
        if time.monotonic() > deadline:
            raise StabilisationError(f"{kind} {name} is still {status} after {longest:.0f} s.")
        time.sleep(POLL_SECONDS)
