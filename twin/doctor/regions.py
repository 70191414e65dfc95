"""Checks that the region has every service and zone that the stacks use."""

from __future__ import annotations

from collections.abc import Iterator

import boto3

from infra.settings.edge_limits import WITHOUT_VPC_ORIGINS
from twin.doctor.check import Check, Need
from twin.doctor.context import Context
from twin.doctor.finding import Finding, failed, ok, warning

ZONES = "Availability zones"

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
    Check(ZONES, _zones),
)
