"""Lists what a stage still owns in every service that its stacks touch: the proof after a delete.

A resource belongs to the stage when its name starts with the stage's prefix or its `stage` and `project` tags say so.
CloudFormation names what it creates after the stack, so names find what tags cannot reach.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from twin.stages import Stage

GONE = {"DELETE_COMPLETE", "deleted", "deleting", "INACTIVE"}


@dataclass(frozen=True)
class Survivor:
    """One resource that outlived the delete."""

    service: str
    kind: str
    name: str


@dataclass(frozen=True)
class Listing:
    """How to list one kind of resource, and which field names it."""

    service: str
    kind: str
    operation: str
    key: str
    name: str | None
    arguments: tuple[tuple[str, Any], ...] = ()


LISTINGS = (
    Listing("cloudformation", "stack", "list_stacks", "StackSummaries", "StackName"),
    Listing("sagemaker", "model", "list_models", "Models", "ModelName"),
    Listing("sagemaker", "endpoint config", "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
    Listing("sagemaker", "endpoint", "list_endpoints", "Endpoints", "EndpointName"),
    Listing(
        "sagemaker", "inference component", "list_inference_components", "InferenceComponents", "InferenceComponentName"
    ),
    Listing("ecs", "cluster", "list_clusters", "clusterArns", None),
    Listing("ecs", "task definition", "list_task_definitions", "taskDefinitionArns", None, (("status", "ACTIVE"),)),
    Listing("elbv2", "load balancer", "describe_load_balancers", "LoadBalancers", "LoadBalancerName"),
    Listing("elbv2", "target group", "describe_target_groups", "TargetGroups", "TargetGroupName"),
    Listing("sqs", "queue", "list_queues", "QueueUrls", None),
    Listing("lambda", "function", "list_functions", "Functions", "FunctionName"),
    Listing("lambda", "layer", "list_layers", "Layers", "LayerName"),
    Listing("scheduler", "schedule", "list_schedules", "Schedules", "Name"),
    Listing("scheduler", "schedule group", "list_schedule_groups", "ScheduleGroups", "Name"),
    Listing("logs", "log group", "describe_log_groups", "logGroups", "logGroupName"),
    Listing("cloudwatch", "alarm", "describe_alarms", "MetricAlarms", "AlarmName"),
    Listing("cloudwatch", "composite alarm", "describe_alarms", "CompositeAlarms", "AlarmName"),
    Listing("sns", "topic", "list_topics", "Topics", "TopicArn"),
    Listing("secretsmanager", "secret", "list_secrets", "SecretList", "Name"),
    Listing("ssm", "parameter", "describe_parameters", "Parameters", "Name"),
    Listing("iam", "role", "list_roles", "Roles", "RoleName"),
    Listing("s3", "bucket", "list_buckets", "Buckets", "Name"),
    Listing("kms", "alias", "list_aliases", "Aliases", "AliasName"),
)
TAGGED_EC2 = (
    Listing("ec2", "VPC", "describe_vpcs", "Vpcs", "VpcId"),
    Listing("ec2", "subnet", "describe_subnets", "Subnets", "SubnetId"),
    Listing("ec2", "security group", "describe_security_groups", "SecurityGroups", "GroupId"),
    Listing("ec2", "internet gateway", "describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    Listing("ec2", "NAT gateway", "describe_nat_gateways", "NatGateways", "NatGatewayId"),
    Listing("ec2", "elastic address", "describe_addresses", "Addresses", "AllocationId"),
    Listing("ec2", "VPC endpoint", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
    Listing("ec2", "network interface", "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId"),
)
SCALED = ("sagemaker", "ecs")


def survivors(stage: Stage, progress: Callable[[str], None] | None = None) -> list[Survivor]:
    """Everything of the stage that still exists, over every service listed in this module."""
    clients: dict[str, Any] = {}
    found: list[Survivor] = []
    vpcs: set[str] = set()
    for listing in (*LISTINGS, *TAGGED_EC2):
        client = clients.setdefault(listing.service, stage.client(listing.service))
        tagged = listing in TAGGED_EC2
        for item in _items(client, listing):
            name = _name(item, listing)
            if _is_gone(item):
                continue
            ours = _has_tags(item, stage, vpcs) if tagged else _is_ours(name, stage)
            if ours:
                found.append(Survivor(listing.service, listing.kind, name))
                if listing.kind == "VPC":
                    vpcs.add(name)
        if progress is not None:
            progress(f"{listing.service}: {listing.kind}")
    return found + _scalable_targets(stage)


def services_checked() -> tuple[str, ...]:
    """Names of the services that `survivors` looks at."""
    names = {listing.service for listing in (*LISTINGS, *TAGGED_EC2)} | {"application-autoscaling"}
    return tuple(sorted(names))


def kinds_checked() -> int:
    """How many kinds of resources `survivors` looks at."""
    return len(LISTINGS) + len(TAGGED_EC2) + len(SCALED)


def _items(client: Any, listing: Listing) -> Iterator[Any]:
    arguments = dict(listing.arguments)
    if client.can_paginate(listing.operation):
        for page in client.get_paginator(listing.operation).paginate(**arguments):
            yield from page.get(listing.key) or ()
        return
    yield from getattr(client, listing.operation)(**arguments).get(listing.key) or ()


def _name(item: Any, listing: Listing) -> str:
    return item if listing.name is None else str(item[listing.name])


def _is_gone(item: Any) -> bool:
    if not isinstance(item, dict):
        return False
    return bool(item.get("DeletedDate")) or any(item.get(key) in GONE for key in ("StackStatus", "State", "Status"))


def _is_ours(name: str, stage: Stage) -> bool:
    # Names, ARNs, URLs and paths: the stage's prefix starts one of their segments.
    segments = name.replace(":", "/").split("/")
    return (
        any(s == stage.prefix or s.startswith(f"{stage.prefix}-") for s in segments) or f"/twin/{stage.name}/" in name
    )


def _has_tags(item: dict[str, Any], stage: Stage, vpcs: set[str]) -> bool:
    tags = {tag["Key"]: tag["Value"] for tag in item.get("Tags") or item.get("TagSet") or ()}
    if tags.get("project") == "llm-twin" and tags.get("stage") == stage.name:
        return True
    return item.get("VpcId") in vpcs


def _scalable_targets(stage: Stage) -> list[Survivor]:
    client = stage.client("application-autoscaling")
    found = []
    for namespace in SCALED:
        try:
            targets = client.describe_scalable_targets(ServiceNamespace=namespace)["ScalableTargets"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationException":
                raise
            continue
        names = [target["ResourceId"] for target in targets if _is_ours(target["ResourceId"], stage)]
        found += [Survivor("application-autoscaling", "scalable target", name) for name in names]
    return found
