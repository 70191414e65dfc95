"""Lists what a stage still owns in every service that its stacks touch: the proof after a delete.

A resource is found by name, by tag and by the history of the stage's stacks (`twin.teardown.ownership`). Each kind is
asked of its own service; what is tagged in services beyond these comes from the Resource Groups Tagging API.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from twin.stages import Stage
from twin.teardown.ownership import PROJECT, Ownership, forms, identifiers, ownership

GONE = {"DELETE_COMPLETE", "DELETE_IN_PROGRESS", "deleted", "deleting", "INACTIVE", "terminated", "shutting-down"}
STATES = ("StackStatus", "State", "Status")
ACCOUNT = "{account}"
"""In an argument: the account's number, which some services want to be told."""


@dataclass(frozen=True)
class Survivor:
    """One resource that outlived the delete, and why, where its service says."""

    service: str
    kind: str
    name: str
    why: str = ""


@dataclass(frozen=True)
class Listing:
    """How to list one kind of resource.

    Attributes:
        key: the field that holds the list; `Outer.Inner` is a field inside another.
        name: the field that names it; None when items are plain strings.
        arn: `service:type` as its ARN spells it; the type is empty where ARNs have none.
    """

    service: str
    kind: str
    operation: str
    key: str
    name: str | None
    arn: str
    arguments: tuple[tuple[str, Any], ...] = ()


def _ec2(kind: str, operation: str, key: str, name: str, arn: str, **arguments: Any) -> Listing:
    return Listing("ec2", kind, operation, key, name, f"ec2:{arn}", tuple(arguments.items()))


LISTINGS = (
    Listing("cloudformation", "stack", "list_stacks", "StackSummaries", "StackName", "cloudformation:stack"),
    Listing("sagemaker", "model", "list_models", "Models", "ModelName", "sagemaker:model"),
    Listing(
        "sagemaker",
        "endpoint config",
        "list_endpoint_configs",
        "EndpointConfigs",
        "EndpointConfigName",
        "sagemaker:endpoint-config",
    ),
    Listing("sagemaker", "endpoint", "list_endpoints", "Endpoints", "EndpointName", "sagemaker:endpoint"),
    Listing(
        "sagemaker",
        "inference component",
        "list_inference_components",
        "InferenceComponents",
        "InferenceComponentName",
        "sagemaker:inference-component",
    ),
    Listing("ecs", "cluster", "list_clusters", "clusterArns", None, "ecs:cluster"),
    *(
        Listing(
            "ecs",
            f"task definition ({status.lower()})",
            "list_task_definitions",
            "taskDefinitionArns",
            None,
            "ecs:task-definition",
            (("status", status),),
        )
        for status in ("ACTIVE", "INACTIVE")
    ),
    Listing("ecr", "repository", "describe_repositories", "repositories", "repositoryName", "ecr:repository"),
    Listing(
        "elbv2",
        "load balancer",
        "describe_load_balancers",
        "LoadBalancers",
        "LoadBalancerName",
        "elasticloadbalancing:loadbalancer",
    ),
    Listing(
        "elbv2",
        "target group",
        "describe_target_groups",
        "TargetGroups",
        "TargetGroupName",
        "elasticloadbalancing:targetgroup",
    ),
    Listing(
        "cloudfront",
        "distribution",
        "list_distributions",
        "DistributionList.Items",
        "Id",
        "cloudfront:distribution",
    ),
    Listing("cloudfront", "function", "list_functions", "FunctionList.Items", "Name", "cloudfront:function"),
    Listing("cloudfront", "VPC origin", "list_vpc_origins", "VpcOriginList.Items", "Id", "cloudfront:vpcorigin"),
    Listing("wafv2", "web ACL", "list_web_acls", "WebACLs", "Name", "wafv2:regional", (("Scope", "REGIONAL"),)),
    Listing("sqs", "queue", "list_queues", "QueueUrls", None, "sqs:"),
    Listing("lambda", "function", "list_functions", "Functions", "FunctionName", "lambda:function"),
    Listing("lambda", "layer", "list_layers", "Layers", "LayerName", "lambda:layer"),
    Listing(
        "lambda",
        "event source mapping",
        "list_event_source_mappings",
        "EventSourceMappings",
        "UUID",
        "lambda:event-source-mapping",
    ),
    Listing("scheduler", "schedule", "list_schedules", "Schedules", "Name", "scheduler:schedule"),
    Listing(
        "scheduler", "schedule group", "list_schedule_groups", "ScheduleGroups", "Name", "scheduler:schedule-group"
    ),
    Listing("events", "rule", "list_rules", "Rules", "Name", "events:rule"),
    Listing("stepfunctions", "state machine", "list_state_machines", "stateMachines", "name", "states:stateMachine"),
    Listing("dynamodb", "table", "list_tables", "TableNames", None, "dynamodb:table"),
    Listing("logs", "log group", "describe_log_groups", "logGroups", "logGroupName", "logs:log-group"),
    Listing("cloudwatch", "alarm", "describe_alarms", "MetricAlarms", "AlarmName", "cloudwatch:alarm"),
    Listing(
        "cloudwatch",
        "composite alarm",
        "describe_alarms",
        "CompositeAlarms",
        "AlarmName",
        "cloudwatch:alarm",
        (("AlarmTypes", ["CompositeAlarm"]),),
    ),
    Listing("cloudwatch", "dashboard", "list_dashboards", "DashboardEntries", "DashboardName", "cloudwatch:dashboard"),
    Listing("sns", "topic", "list_topics", "Topics", "TopicArn", "sns:"),
    Listing("secretsmanager", "secret", "list_secrets", "SecretList", "Name", "secretsmanager:secret"),
    Listing("ssm", "parameter", "describe_parameters", "Parameters", "Name", "ssm:parameter"),
    Listing("iam", "role", "list_roles", "Roles", "RoleName", "iam:role"),
    Listing("iam", "policy", "list_policies", "Policies", "PolicyName", "iam:policy", (("Scope", "Local"),)),
    Listing(
        "iam",
        "instance profile",
        "list_instance_profiles",
        "InstanceProfiles",
        "InstanceProfileName",
        "iam:instance-profile",
    ),
    Listing("s3", "bucket", "list_buckets", "Buckets", "Name", "s3:"),
    Listing("kms", "alias", "list_aliases", "Aliases", "AliasName", "kms:alias"),
    Listing(
        "budgets", "budget", "describe_budgets", "Budgets", "BudgetName", "budgets:budget", (("AccountId", ACCOUNT),)
    ),
    Listing(
        "autoscaling",
        "auto scaling group",
        "describe_auto_scaling_groups",
        "AutoScalingGroups",
        "AutoScalingGroupName",
        "autoscaling:autoScalingGroup",
    ),
    _ec2("VPC", "describe_vpcs", "Vpcs", "VpcId", "vpc"),
    _ec2("subnet", "describe_subnets", "Subnets", "SubnetId", "subnet"),
    _ec2("route table", "describe_route_tables", "RouteTables", "RouteTableId", "route-table"),
    _ec2("security group", "describe_security_groups", "SecurityGroups", "GroupId", "security-group"),
    _ec2(
        "internet gateway",
        "describe_internet_gateways",
        "InternetGateways",
        "InternetGatewayId",
        "internet-gateway",
    ),
    _ec2("NAT gateway", "describe_nat_gateways", "NatGateways", "NatGatewayId", "natgateway"),
    _ec2("elastic address", "describe_addresses", "Addresses", "AllocationId", "elastic-ip"),
    _ec2("VPC endpoint", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId", "vpc-endpoint"),
    _ec2(
        "network interface",
        "describe_network_interfaces",
        "NetworkInterfaces",
        "NetworkInterfaceId",
        "network-interface",
    ),
    _ec2("launch template", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateId", "launch-template"),
    _ec2("flow log", "describe_flow_logs", "FlowLogs", "FlowLogId", "vpc-flow-log"),
    _ec2("volume", "describe_volumes", "Volumes", "VolumeId", "volume"),
    _ec2("snapshot", "describe_snapshots", "Snapshots", "SnapshotId", "snapshot", OwnerIds=["self"]),
)
SCALED = ("sagemaker", "ecs")
LISTED_APART = ("kms:key", "ecs:service", "ec2:instance")
"""What one call does not list."""


def survivors(
    stage: Stage, progress: Callable[[str], None] | None = None, own: Ownership | None = None
) -> list[Survivor]:
    """Everything of the stage that still exists; `own` spares reading the history of its stacks again."""
    own = own or ownership(stage)
    found: list[Survivor] = []
    existing: set[str] = set()
    for listing in LISTINGS:
        for item in _items(stage, listing):
            if is_gone(item):
                continue
            name = item if listing.name is None else str(item[listing.name])
            existing |= forms(name) | identifiers(item)
            if own.owns(name, item):
                found.append(Survivor(listing.service, listing.kind, name, _why(item)))
        if progress is not None:
            progress(f"{listing.service}: {listing.kind}")
    found += _scalable_targets(own) + _keys(own, existing) + _ecs_services(own, existing) + _machines(own, existing)
    found += _tagged(own, existing, {form for each in found for form in forms(each.name)})
    return found


def services_checked() -> tuple[str, ...]:
    """Names of the services that `survivors` looks at."""
    names = {listing.service for listing in LISTINGS} | {"application-autoscaling", "resourcegroupstaggingapi"}
    return tuple(sorted(names))


def kinds_checked() -> int:
    """How many kinds of resources `survivors` looks at, besides whatever is tagged."""
    return len(LISTINGS) + len(SCALED) + len(LISTED_APART)


def is_gone(item: Any) -> bool:
    """Whether a list shows a resource that is deleted, or that nothing can keep from being deleted."""
    if not isinstance(item, dict):
        return False
    if item.get("StackStatus") == "DELETE_IN_PROGRESS":
        return False
    states = (item.get(key) for key in STATES)
    return bool(item.get("DeletedDate")) or any(isinstance(state, str) and state in GONE for state in states)


def _items(stage: Stage, listing: Listing) -> Iterator[Any]:
    client = stage.client(listing.service)
    arguments = {
        key: stage.client("sts").get_caller_identity()["Account"] if value == ACCOUNT else value
        for key, value in listing.arguments
    }
    if client.can_paginate(listing.operation):
        for page in client.get_paginator(listing.operation).paginate(**arguments):
            yield from _inside(page, listing.key)
        return
    yield from _inside(getattr(client, listing.operation)(**arguments), listing.key)


def _inside(answer: Any, key: str) -> Any:
    for part in key.split("."):
        answer = (answer or {}).get(part)
    return answer or ()


def _why(item: Any) -> str:
    return str(item.get("StackStatusReason") or item.get("StackStatus") or "") if isinstance(item, dict) else ""


def _scalable_targets(own: Ownership) -> list[Survivor]:
    client = own.stage.client("application-autoscaling")
    found = []
    for namespace in SCALED:
        try:
            targets = client.describe_scalable_targets(ServiceNamespace=namespace)["ScalableTargets"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationException":
                raise
            continue
        names = [target["ResourceId"] for target in targets if own.owns(target["ResourceId"])]
        found += [Survivor("application-autoscaling", "scalable target", name) for name in names]
    return found


def _ecs_services(own: Ownership, existing: set[str]) -> list[Survivor]:
    """Services of the stage's clusters; one without a cluster is gone, whatever its tags go on saying."""
    client = own.stage.client("ecs")
    clusters = [arn for page in client.get_paginator("list_clusters").paginate() for arn in page["clusterArns"]]
    services = [
        arn
        for cluster in clusters
        for page in client.get_paginator("list_services").paginate(cluster=cluster)
        for arn in page["serviceArns"]
    ]
    existing |= {form for arn in services for form in forms(arn)}
    return [Survivor("ecs", "service", arn) for arn in services if own.owns(arn)]


def _machines(own: Ownership, existing: set[str]) -> list[Survivor]:
    """EC2 machines; AWS goes on listing one for an hour after its end."""
    found = []
    for page in own.stage.client("ec2").get_paginator("describe_instances").paginate():
        for machine in (each for reservation in page["Reservations"] for each in reservation["Instances"]):
            if machine["State"]["Name"] in GONE:
                continue
            existing |= forms(machine["InstanceId"])
            if own.owns(machine["InstanceId"], machine):
                found.append(Survivor("ec2", "instance", machine["InstanceId"]))
    return found


def _keys(own: Ownership, existing: set[str]) -> list[Survivor]:
    """Keys that are not on their way out: AWS deletes none sooner than a week after it was asked to."""
    client = own.stage.client("kms")
    found = []
    for page in client.get_paginator("list_keys").paginate():
        for key in page["Keys"]:
            if not own.owns(key["KeyArn"], key):
                continue
            if client.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "PendingDeletion":
                continue
            existing |= identifiers(key)
            found.append(Survivor("kms", "key", key["KeyArn"]))
    return found


def _tagged(own: Ownership, existing: set[str], known: set[str]) -> list[Survivor]:
    """What carries the stage's tags and was not found yet.

    The tagging API may go on naming what is deleted. Where a service lists the kind itself, its list decides.
    """
    client = own.stage.client("resourcegroupstaggingapi")
    wanted = [{"Key": "project", "Values": [PROJECT]}, {"Key": "stage", "Values": [own.stage.name]}]
    listed = {*LISTED_APART, *(listing.arn for listing in LISTINGS)}
    found = []
    for page in client.get_paginator("get_resources").paginate(TagFilters=wanted):
        for arn in (resource["ResourceARN"] for resource in page["ResourceTagMappingList"]):
            service, kind = kind_of(arn)
            if forms(arn) & (known | own.kept):
                continue
            if (f"{service}:{kind}" in listed or f"{service}:" in listed) and not forms(arn) & existing:
                continue
            found.append(Survivor(service, kind or service, arn))
    return found


def kind_of(arn: str) -> tuple[str, str]:
    """Service and type of an ARN; the type is empty where the ARN has none."""
    parts = arn.split(":", 5)
    resource = parts[5]
    for separator in ("/", ":"):
        if separator in resource:
            return parts[2], resource.split(separator)[0].split(":")[0]
    return parts[2], ""
