"""Actions of IAM that `twin` needs to read what is in an account."""

from __future__ import annotations

SCALING = "application-autoscaling:DescribeScalableTargets"
LISTS = (
    # Calls by which a delete proves that nothing is left (twin.inventory): they list names, on no single resource.
    SCALING,
    "autoscaling:DescribeAutoScalingGroups",
    "budgets:ViewBudget",
    # Without a stack's name this lists too, and is refused to a role that may describe some stacks only.
    "cloudformation:DescribeStacks",
    "cloudformation:ListImports",
    "cloudformation:ListStacks",
    "cloudfront:ListDistributions",
    "cloudfront:ListFunctions",
    "cloudfront:ListVpcOrigins",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:ListDashboards",
    "ec2:DescribeAddresses",
    "ec2:DescribeFlowLogs",
    "ec2:DescribeInstances",
    "ec2:DescribeInternetGateways",
    "ec2:DescribeLaunchTemplates",
    "ec2:DescribeNatGateways",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSnapshots",
    "ec2:DescribeSubnets",
    "ec2:DescribeVolumes",
    "ec2:DescribeVpcEndpoints",
    "ec2:DescribeVpcs",
    "dynamodb:ListTables",
    "ecr:DescribeRepositories",
    "ecs:ListClusters",
    "ecs:ListServices",
    "ecs:ListTaskDefinitions",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeTargetGroups",
    "events:ListRules",
    "iam:ListInstanceProfiles",
    "iam:ListPolicies",
    "iam:ListRoles",
    "kms:DescribeKey",
    "kms:ListAliases",
    "kms:ListKeys",
    "lambda:ListEventSourceMappings",
    "lambda:ListFunctions",
    "lambda:ListLayers",
    "logs:DescribeLogGroups",
    "s3:ListAllMyBuckets",
    "sagemaker:ListEndpointConfigs",
    "sagemaker:ListEndpoints",
    "sagemaker:ListInferenceComponents",
    "sagemaker:ListModels",
    "scheduler:ListScheduleGroups",
    "scheduler:ListSchedules",
    "secretsmanager:ListSecrets",
    "sns:ListTopics",
    "sqs:ListQueues",
    "ssm:DescribeParameters",
    "states:ListStateMachines",
    "tag:GetResources",
    "wafv2:ListWebACLs",
)
PREFLIGHT = (
    # Calls of `twin doctor` about quotas and zones, which name no single resource of a stage.
    "ec2:DescribeAvailabilityZones",
    "sagemaker:DescribeEndpoint",
    "sagemaker:DescribeEndpointConfig",
    "servicequotas:GetAWSDefaultServiceQuota",
    "servicequotas:GetServiceQuota",
    "servicequotas:ListAWSDefaultServiceQuotas",
    "servicequotas:ListServiceQuotas",
)
SUBSCRIPTIONS = "sns:ListSubscriptionsByTopic"
IMAGE = "ecr:BatchGetImage"
STACK_READS = (
    "cloudformation:DescribeStackEvents",
    "cloudformation:DescribeStackResource",
    "cloudformation:GetTemplate",
)
LOG_READS = ("logs:DescribeLogStreams", "logs:GetLogEvents")
TASK_READS = ("ecs:DescribeServices", "ecs:DescribeTasks")
# ECS has no resource-level permission for the first; the second's is the instance of a task, and Fargate has none:
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html
TASK_LISTS = ("ecs:DescribeTaskDefinition", "ecs:ListTasks")
COPIES = "sagemaker:DescribeInferenceComponent"
COPIES_CHANGE = "sagemaker:UpdateInferenceComponentRuntimeConfig"
