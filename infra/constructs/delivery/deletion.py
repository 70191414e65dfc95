"""Statements of what `twin delete` deletes: stacks, and what CloudFormation leaves."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_iam as iam

from infra.constructs.delivery.arns import Arns, allow, tagged


def deletion(arns: Arns, stages: Sequence[str]) -> list[iam.PolicyStatement]:
    """What `twin delete` does itself, besides listing."""
    return [
        _stacks(arns, stages),
        _endpoints(arns, stages),
        *_compute(arns, stages),
        *_data(arns, stages),
    ]


def _stacks(arns: Arns, stages: Sequence[str]) -> iam.PolicyStatement:
    actions = (
        "cloudformation:DeleteStack",
        "cloudformation:DescribeStackEvents",
        "cloudformation:GetTemplate",
        "cloudformation:ListStackResources",
    )
    return allow("DeleteTheStagesStacks", actions, arns.stacks(stages))


def _endpoints(arns: Arns, stages: Sequence[str]) -> iam.PolicyStatement:
    actions = (
        "sagemaker:DeleteEndpoint",
        "sagemaker:DeleteEndpointConfig",
        "sagemaker:DeleteInferenceComponent",
        "sagemaker:DeleteModel",
    )
    return allow("DeleteLeftEndpoints", actions, arns.model(stages))


def _compute(arns: Arns, stages: Sequence[str]) -> list[iam.PolicyStatement]:
    """Scaling, task definitions, network interfaces and disks."""
    by_tags = tagged(stages)
    return [
        allow(
            "ForgetLeftScaling",
            ("application-autoscaling:DeregisterScalableTarget",),
            (arns.of("application-autoscaling", "scalable-target", "*"),),
            by_tags,
        ),
        # ECS has no resource-level permission for the first, see its table of actions:
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html
        allow("DeregisterLeftTaskDefinitions", ("ecs:DeregisterTaskDefinition",), ("*",)),
        allow(
            "DeleteLeftTaskDefinitions",
            ("ecs:DeleteTaskDefinitions",),
            arns.named("ecs", "task-definition", stages),
        ),
        allow(
            "DeleteLeftInterfacesAndDisks",
            ("ec2:DeleteNetworkInterface", "ec2:DeleteSnapshot", "ec2:DeleteVolume"),
            (
                arns.of("ec2", "network-interface", "*"),
                arns.snapshots(),
                arns.of("ec2", "volume", "*"),
            ),
            by_tags,
        ),
    ]


def _data(arns: Arns, stages: Sequence[str]) -> list[iam.PolicyStatement]:
    """Logs, buckets, images and secrets."""
    buckets = arns.buckets(stages)
    return [
        allow("DeleteLeftLogs", ("logs:DeleteLogGroup",), arns.log_groups(stages)),
        allow(
            "EmptyAndDeleteLeftBuckets",
            (
                "s3:AbortMultipartUpload",
                "s3:DeleteBucket",
                "s3:DeleteObject",
                "s3:DeleteObjectVersion",
                "s3:GetBucketTagging",
                "s3:ListBucketMultipartUploads",
                "s3:ListBucketVersions",
            ),
            [*buckets, *(f"{bucket}/*" for bucket in buckets)],
        ),
        allow(
            "DeleteLeftImages",
            ("ecr:BatchDeleteImage", "ecr:DeleteRepository", "ecr:ListImages"),
            arns.named("ecr", "repository", stages),
        ),
        allow(
            "DeleteLeftSecrets",
            ("secretsmanager:DeleteSecret",),
            (arns.every_secret(),),
            tagged(stages),
        ),
    ]
