"""Checks that the region has every service, resource type and zone that the stacks use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import boto3
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped]

from infra.settings.deployment import DeploymentSettings
from infra.settings.edge_limits import WITHOUT_VPC_ORIGINS
from infra.settings.llm_pools import REGIONS_WITH_POOLS
from twin.doctor.check import Check, Need
from twin.doctor.context import Context
from twin.doctor.finding import Finding, failed, ok, skipped, warning

ZONES = "Availability zones"
POOLS = "Instance pools in the region"
TYPES = "Resource types in the region"

REGIONAL = (
    "acm",
    "application-autoscaling",
    "autoscaling",
    "cloudformation",
    "cloudwatch",
    "dlm",
    "dynamodb",
    "ec2",
    "ecr",
    "ecs",
    "elbv2",
    "lambda",
    "logs",
    "sagemaker",
    "sagemaker-runtime",
    "scheduler",
    "secretsmanager",
    "sns",
    "sqs",
    "ssm",
    "stepfunctions",
)
"""Every service of the stacks that has an address per region."""

SOMEWHERE: Mapping[str, Callable[[DeploymentSettings], bool]] = {
    "AWS::Budgets::Budget": lambda settings: settings.guard.monthly_budget_usd is not None,
    "AWS::CloudFront::Distribution": lambda settings: settings.rag.edge == "cloudfront",
    "AWS::CloudFront::Function": lambda settings: settings.rag.edge == "cloudfront" and settings.rag.web_acl,
    "AWS::CloudFront::VpcOrigin": lambda settings: settings.rag.edge == "cloudfront",
    "AWS::SageMaker::Endpoint": lambda _: True,
    "AWS::SageMaker::EndpointConfig": lambda _: True,
    "AWS::SageMaker::InferenceComponent": lambda settings: settings.llm.mode == "inference-component",
    "AWS::SageMaker::Model": lambda _: True,
}
"""Resource types that some regions lack, and whether a stage's stacks have one."""
INSTEAD = {
    "AWS::Budgets::Budget": "leave `monthly_budget_usd` out of [guard], and make a budget by hand",
    "AWS::SageMaker::InferenceComponent": 'set `mode = "real-time"` in [llm], which never sleeps',
}
"""What does without a type."""


def _services(context: Context) -> Iterator[Finding]:
    """By the endpoint list that comes with the AWS SDK: no call, no credentials; a region newer than it is unknown."""
    session, region = boto3.Session(), context.known.region
    partition = session.get_partition_for_region(region)
    missing = [name for name in REGIONAL if region not in session.get_available_regions(name, partition)]
    if not missing:
        yield ok("Services in the region", f"{region} has all {len(REGIONAL)}")
        return
    why = "stacks with resources of these services cannot be created there"
    fix = "choose another `region`: https://aws.amazon.com/about-aws/global-infrastructure/regional-product-services/"
    yield failed("Services in the region", f"{region} lacks {', '.join(missing)}", why, fix)


def missing_types(settings: DeploymentSettings, region: str) -> list[str]:
    """Resource types of the stage that CloudFormation does not have in a region, by the schemas that cfn-lint brings.

    Synthesis looks at a copy of the same schemas. A region that they do not know counts as having all.
    """
    known = set(PROVIDER_SCHEMA_MANAGER.get_resource_types(region))
    return [name for name, used in SOMEWHERE.items() if name not in known and used(settings)]


def _types(context: Context) -> Iterator[Finding]:
    region = context.known.region
    missing = missing_types(context.known, region)
    if not missing:
        yield ok(TYPES, f"{region} has all")
        return
    why = "CloudFormation cannot create them there, and synthesis fails"
    instead = "; ".join(INSTEAD[name] for name in missing if name in INSTEAD)
    others = "" if set(missing) - set(INSTEAD) else f", or {instead}"
    yield failed(TYPES, f"{region} lacks {', '.join(missing)}", why, f"choose another `region`{others}")


def _pools(context: Context) -> Iterator[Finding]:
    region, others = context.known.region, context.known.llm.fallback_instance_types
    if not others:
        yield skipped(POOLS, "skipped: the endpoint has one instance type")
    elif region in REGIONS_WITH_POOLS:
        yield ok(POOLS, f"{region} has them")
    else:
        seen = f"{region} is not among the {len(REGIONS_WITH_POOLS)} regions that AWS's samples name for them"
        why = "SageMaker may refuse the endpoint's configuration, and the stack rolls back"
        yield warning(POOLS, seen, why, "leave `fallback_instance_types` out of [llm], or choose another `region`")


def _zones(context: Context) -> Iterator[Finding]:
    wanted = context.known.availability_zones
    described = context.stage.client("ec2").describe_availability_zones()["AvailabilityZones"]
    ids = {zone["ZoneName"]: zone.get("ZoneId", "") for zone in described if zone["State"] == "available"}
    fitting = set(ids)
    if context.known.rag.edge == "cloudfront":
        fitting -= {name for name, zone in ids.items() if zone in WITHOUT_VPC_ORIGINS}
    fix = f"set `availability_zones` in [network] to two of: {', '.join(sorted(fitting))}"
    if missing := [zone for zone in wanted if zone not in ids]:
        why = "synthesis looks no zone up, so CloudFormation would fail at the first subnet"
        yield failed(ZONES, f"this account has no {', '.join(missing)}", why, fix)
    elif closed := [zone for zone in wanted if zone not in fitting]:
        seen = f"{', '.join(f'{zone} is {ids[zone]}' for zone in closed)}, which CloudFront's VPC origins cannot reach"
        yield warning(ZONES, seen, "CloudFront may not be able to call the load balancer in its private subnets", fix)
    else:
        yield ok(ZONES, ", ".join(wanted))


CHECKS = (
    Check("Services in the region", _services, needs=(Need.SETTINGS,)),
    Check(TYPES, _types, needs=(Need.SETTINGS,)),
    Check(POOLS, _pools, needs=(Need.SETTINGS,)),
    Check(ZONES, _zones),
)
