"""Which resource IAM decides a call on: its ARN, as the tables of the Service Authorization Reference have it.

MiniStack 1.5.33 knows nothing of the services of this package, takes the cluster as the resource of every call of ECS,
gives snapshots an account and logs no streams, and decides calls on an ARN that AWS decides on `*`, so that a policy
which AWS refuses would do here. AWS decides by the resources of its tables:
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsapplicationautoscaling.html
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridgescheduler.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core import iam_actions

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
WITHOUT_ACCOUNT = (":snapshot/", ":image/")
"""Resources of EC2 whose ARNs name no account."""
ON_STREAMS = ("CreateLogStream", "GetLogEvents", "PutLogEvents", "DeleteLogStream")


def install() -> None:
    """Let policies decide calls on AWS's resources. Call it once, before the emulator serves."""
    known = iam_actions.extract_resource_arn

    def resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
    ) -> str:
        """The ARN that a policy's resource has to fit; `*` for an operation on no single one."""
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        found = str(known(service, method, path, headers, body, query, region, account))
        if service == "ec2":
            return _ec2(found, str(iam_actions._query_param(query, "Action")))
        if service == "scheduler":
            return _scheduler(found, str(iam_actions._query_param(query, "groupName")))
        decide = BY_SERVICE.get(service)
        own = decide(operation, json_fields(body)) if decide else None
        if own is None:
            return found
        if own == "*" or own.startswith("arn:"):
            return own
        # What belongs to another account names it before the resource.
        owner, own = own[1:].split(":", 1) if own.startswith("@") else (account, own)
        return f"arn:aws:{service}:{region}:{owner}:{own}"

    iam_actions.extract_resource_arn = resource_arn


def json_fields(body: bytes) -> dict[str, Any]:
    """The fields of a call with a JSON body; none for any other body."""
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _ec2(arn: str, operation: str) -> str:
    # What describes has no resource: a filter or an id in the request grants nothing.
    if operation.startswith("Describe"):
        return "*"
    if any(kind in arn for kind in WITHOUT_ACCOUNT):
        service, region, _, resource = arn.split(":", 5)[2:]
        return f"arn:aws:{service}:{region}::{resource}"
    return arn


def _scheduler(arn: str, group: str) -> str:
    return arn.replace(":schedule/default/", f":schedule/{group}/") if group else arn


def _sagemaker(operation: str, fields: Mapping[str, Any]) -> str:
    for end, kind in SAGEMAKER_RESOURCES.items():
        name = fields.get(f"{end}Name")
        if operation.endswith((end, f"{end}RuntimeConfig")) and isinstance(name, str):
            return f"{kind}/{name.lower()}"
    return "*"


def _ecs(operation: str, fields: Mapping[str, Any]) -> str | None:
    """Resource of the calls that a program makes of a task or a service; None leaves the others as they are."""
    found = ecs_resources(operation, fields)
    return found[0] if found else None


def ecs_resources(operation: str, fields: Mapping[str, Any]) -> list[str]:
    """Every resource that a call of ECS is decided on, one after the other."""
    cluster = str(fields.get("cluster", "default")).rpartition("/")[2]

    def named(kind: str, names: Any) -> list[str]:
        listed = [str(name) for name in ([names] if isinstance(names, str) else names or ())]
        prefix = f"{kind}/" if kind == "task-definition" else f"{kind}/{cluster}/"
        return [name if name.startswith("arn:") else f"{prefix}{name}" for name in listed]

    if operation == "RunTask":
        definition = str(fields.get("taskDefinition", ""))
        return named("task-definition", definition if ":" in definition else f"{definition}:1")
    if operation in ("DescribeTasks", "StopTask"):
        return named("task", fields.get("task") or fields.get("tasks"))
    if operation in ("DescribeServices", "UpdateService", "DeleteService"):
        return named("service", fields.get("service") or fields.get("services"))
    if operation == "DeleteTaskDefinitions":
        return named("task-definition", fields.get("taskDefinitions"))
    if operation == "TagResource":
        return [str(fields.get("resourceArn", "*"))]
    # The rest of what reads, and the deregistration, have no resource.
    without = operation.startswith("List") or operation in ("DescribeTaskDefinition", "DeregisterTaskDefinition")
    return ["*"] if without else []


def _logs(operation: str, fields: Mapping[str, Any]) -> str | None:
    if operation == "DescribeLogGroups":
        return "*"
    group = str(fields.get("logGroupName") or str(fields.get("logGroupIdentifier", "")).rpartition("log-group:")[2])
    if operation in ON_STREAMS:
        return f"log-group:{group}:log-stream:{fields.get('logStreamName', '')}"
    return f"log-group:{group}" if group else None


def _ecr(operation: str, fields: Mapping[str, Any]) -> str | None:
    """A repository of another account's registry has that account in its ARN; None leaves the others as they are."""
    owner, name = fields.get("registryId"), fields.get("repositoryName")
    if operation in ("DescribeRepositories", "GetAuthorizationToken") and not name:
        return "*"
    return f"@{owner}:repository/{name}" if owner and name else None


def _target(operation: str, fields: Mapping[str, Any]) -> str | None:
    """ARN of a registered scalable target, which a new one does not have yet."""
    if operation not in ON_TARGETS:
        return "*"
    target = registered(SCALING).store("targets").get(target_key(dict(fields)))
    return str(target["ScalableTargetARN"]) if target else "scalable-target/*"


BY_SERVICE: Mapping[str, Callable[[str, Mapping[str, Any]], str | None]] = {
    "sagemaker": _sagemaker,
    "ecr": _ecr,
    "ecs": _ecs,
    "logs": _logs,
    SCALING: _target,
}
