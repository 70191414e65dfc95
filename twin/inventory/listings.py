"""Every kind of resource that the stacks make, and the call that lists it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ACCOUNT = "{account}"
"""Placeholder in an argument: the account's number, which some services ask for."""


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
"""Kinds that no single call lists."""


def services_checked() -> tuple[str, ...]:
    """Names of the services that `survivors` looks at."""
    names = {listing.service for listing in LISTINGS} | {"application-autoscaling", "resourcegroupstaggingapi"}
    return tuple(sorted(names))


def kinds_checked() -> int:
    """How many kinds of resources `survivors` looks at, besides whatever is tagged."""
    return len(LISTINGS) + len(SCALED) + len(LISTED_APART)
