"""What IAM decides a call of SageMaker, Application Auto Scaling and ECS by: action and resource.

MiniStack 1.5.33 enforces no policy for services that it does not know itself, and takes the cluster as the resource of
every call of ECS. AWS decides by the resources of its tables:
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsapplicationautoscaling.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ministack.core import iam_actions
from ministack.services import tagging

from localcloud.emulator.registry import registered
from localcloud.emulator.services.application_autoscaling import target_key

SAGEMAKER_RESOURCES = {
    "InferenceComponent": "inference-component",
    "EndpointConfig": "endpoint-config",
    "Endpoint": "endpoint",
    "Model": "model",
}
"""Kind of resource by the end of an operation's name; the operation names it in `<end>Name`."""

SCALING = "application-autoscaling"
ON_TARGETS = ("RegisterScalableTarget", "DeregisterScalableTarget")


def install() -> None:
    """Let policies decide calls of these services. Call it once, before the emulator serves."""
    for service in ("sagemaker", SCALING):
        iam_actions.SERVICE_TO_IAM_NAMESPACE[service] = service
    # By these a policy's condition on the tags of a scalable target is decided.
    tagging._RESOURCE_TAG_COLLECTORS[SCALING] = _tags_of_targets
    known = iam_actions.extract_resource_arn

    def resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
    ) -> str:
        """The ARN that a policy's resource has to fit; `*` for an operation on no single one."""
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        found: str | None = None
        if service == "sagemaker":
            found = _sagemaker(operation, _fields(body))
        elif service == "ecs":
            found = _ecs(operation, _fields(body))
        elif service == SCALING and operation in ON_TARGETS:
            found = _target(_fields(body))
        if found is None:
            return str(known(service, method, path, headers, body, query, region, account))
        return found if found == "*" or found.startswith("arn:") else f"arn:aws:{service}:{region}:{account}:{found}"

    iam_actions.extract_resource_arn = resource_arn


def _fields(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _sagemaker(operation: str, fields: dict[str, Any]) -> str:
    for end, kind in SAGEMAKER_RESOURCES.items():
        name = fields.get(f"{end}Name")
        if operation.endswith((end, f"{end}RuntimeConfig")) and isinstance(name, str):
            return f"{kind}/{name.lower()}"
    return "*"


def _ecs(operation: str, fields: dict[str, Any]) -> str | None:
    """Resource of the calls that a program makes of a task or a service; None leaves the others as they are."""
    cluster = str(fields.get("cluster", "default")).rpartition("/")[2]
    if operation == "RunTask":
        definition = str(fields.get("taskDefinition", ""))
        return definition if definition.startswith("arn:") else f"task-definition/{definition}:1"
    if operation in ("DescribeTasks", "StopTask"):
        task = str(fields.get("task") or next(iter(fields.get("tasks") or ()), ""))
        return task if task.startswith("arn:") else f"task/{cluster}/{task}"
    if operation == "DescribeServices":
        service = str(next(iter(fields.get("services") or ()), ""))
        return service if service.startswith("arn:") else f"service/{cluster}/{service}"
    return "*" if operation == "ListTasks" else None


def _target(fields: dict[str, Any]) -> str:
    """ARN of a registered scalable target, which a new one does not have yet."""
    target = registered(SCALING).store("targets").get(target_key(fields))
    return str(target["ScalableTargetARN"]) if target else "scalable-target/*"


def _tags_of_targets() -> Iterator[tuple[str, list[dict[str, str]]]]:
    for arn, tags in registered(SCALING).store("tags").items():
        yield arn, [{"Key": key, "Value": value} for key, value in tags.items()]
