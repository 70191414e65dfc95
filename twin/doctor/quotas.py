"""Checks of Service Quotas against what the account uses and what the stage needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from infra.names import PROJECT
from twin.doctor.check import Check
from twin.doctor.context import Context
from twin.doctor.finding import Finding, failed, ok, skipped, warning

FARGATE_VCPU = ("fargate", "L-3032A538")
ELASTIC_ADDRESSES = ("ec2", "L-0263D0A3")
VPCS = ("vpc", "L-F678F1CE")
"""Service and quota codes, the same in every account: `aws service-quotas list-service-quotas --service-code ...`."""
CPU_UNITS_PER_VCPU = 1024
DURING_AN_UPDATE = 2
DURING_A_DEPLOYMENT = 2
"""ECS starts the new tasks before it stops the old (`max_healthy_percent=200`)."""


def _endpoint_instances(context: Context) -> Iterator[Finding]:
    """SageMaker keeps one quota per instance type and use; its code differs by type, so it is found by its name."""
    llm = context.known.llm
    # Another configuration of either kind of endpoint goes to a new fleet beside the old one:
    # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpoint.html
    wanted = llm.max_instances * DURING_AN_UPDATE
    for kind in llm.instance_types:
        name = f"{kind} for endpoint usage"
        quota = _by_name(context, "sagemaker", name)
        if quota is None:
            why = "SageMaker would refuse the endpoint's configuration"
            fix = "choose another `instance_type` or `region`: https://aws.amazon.com/sagemaker/ai/pricing/"
            yield failed("Endpoint instance type", f"{context.stage.region} offers no {kind}", why, fix)
            continue
        yield ok("Endpoint instance type", f"{kind} is offered in {context.stage.region}")
        used = _endpoint_instances_in_use(context, kind)
        # A further type without quota is never used, and the deployment goes on with the others.
        needed = 1 if kind == llm.instance_type else 0
        unit = "instances of the endpoint"
        yield _judge(context, f"Quota {name}", quota, used=used, needed=needed, wanted=wanted, unit=unit)


def _fargate(context: Context) -> Iterator[Finding]:
    rag = context.known.rag
    per_task = rag.cpu / CPU_UNITS_PER_VCPU
    quota = _by_code(context, *FARGATE_VCPU)
    needed = rag.min_tasks * per_task * DURING_A_DEPLOYMENT
    wanted = rag.max_tasks * per_task * DURING_A_DEPLOYMENT
    yield _judge(
        context, "Quota Fargate vCPU", quota, used=None, needed=needed, wanted=wanted, unit="vCPU of the service"
    )


def _addresses(context: Context) -> Iterator[Finding]:
    network = context.known.network
    needed = network.nat_gateways if network.layout == "private" else 0
    if not needed:
        yield skipped("Quota Elastic IP addresses", "not needed: the stage has no NAT gateway")
        return
    described = context.stage.client("ec2").describe_addresses()["Addresses"]
    used = len([address for address in described if not _is_ours(address, context)])
    quota = _by_code(context, *ELASTIC_ADDRESSES)
    yield _judge(
        context, "Quota Elastic IP addresses", quota, used=used, needed=needed, wanted=needed, unit="NAT gateways"
    )


def _vpcs(context: Context) -> Iterator[Finding]:
    pages = context.stage.client("ec2").get_paginator("describe_vpcs").paginate()
    described = [vpc for page in pages for vpc in page["Vpcs"]]
    used = len([vpc for vpc in described if not _is_ours(vpc, context)])
    yield _judge(context, "Quota VPCs", _by_code(context, *VPCS), used=used, needed=1, wanted=1, unit="VPCs")


def _judge(
    context: Context, check: str, quota: dict[str, Any], *, used: float | None, needed: float, wanted: float, unit: str
) -> Finding:
    """Below `needed` the deployment fails; below `wanted`, the most that scaling may ask for, it is limited.

    `used` is what others use of it; None when that is not counted.
    """
    value, taken = float(quota["Value"]), used or 0
    others = "" if used is None else f", in use by others {used:g}"
    seen = f"{value:g}{others}, needed {needed:g}" + (f" to {wanted:g}" if wanted > needed else "")
    page = (
        f"https://{context.stage.region}.console.aws.amazon.com/servicequotas/home/services/"
        f"{quota['ServiceCode']}/quotas/{quota['QuotaCode']}"
    )
    command = (
        f"aws service-quotas request-service-quota-increase --region {context.stage.region} "
        f"--service-code {quota['ServiceCode']} --quota-code {quota['QuotaCode']} --desired-value {taken + wanted:g}"
    )
    fix = f"`{command}`, or {page}; new quotas take hours to days"
    if value - taken < needed:
        return failed(check, seen, f"AWS refuses {unit} beyond the quota, and the stack rolls back", fix)
    if value - taken < wanted:
        why = f"scaling and updates stop at the quota: no more {unit} than it allows"
        return warning(check, seen, why, fix)
    return ok(check, seen)


def _by_code(context: Context, service: str, code: str) -> dict[str, Any]:
    client = context.stage.client("service-quotas")
    try:
        found: dict[str, Any] = client.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]
    except ClientError as error:
        # A quota that this account never changed may have no applied value.
        if error.response["Error"]["Code"] != "NoSuchResourceException":
            raise
        found = client.get_aws_default_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]
    return found


def _by_name(context: Context, service: str, name: str) -> dict[str, Any] | None:
    client = context.stage.client("service-quotas")
    for operation in ("list_service_quotas", "list_aws_default_service_quotas"):
        for page in client.get_paginator(operation).paginate(ServiceCode=service):
            for quota in page["Quotas"]:
                if quota["QuotaName"] == name:
                    return dict(quota)
    return None


def _endpoint_instances_in_use(context: Context, instance_type: str) -> int:
    """Instances of this type behind other endpoints of the account and region."""
    client, used = context.stage.client("sagemaker"), 0
    for page in client.get_paginator("list_endpoints").paginate():
        for summary in page["Endpoints"]:
            if summary["EndpointName"] == context.names.endpoint:
                continue
            endpoint = client.describe_endpoint(EndpointName=summary["EndpointName"])
            config = client.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
            types = {v["VariantName"]: v.get("InstanceType") for v in config["ProductionVariants"]}
            for variant in endpoint.get("ProductionVariants", ()):
                used += _running(variant, types.get(variant["VariantName"]), instance_type)
    return used


def _running(variant: Mapping[str, Any], kind: str | None, wanted: str) -> int:
    """Instances of the type `wanted` behind a variant as described; one with pools has no type of its own."""
    pools = variant.get("InstancePools") or [
        {"InstanceType": kind, "CurrentInstanceCount": variant.get("CurrentInstanceCount", 0)}
    ]
    return sum(int(pool.get("CurrentInstanceCount", 0)) for pool in pools if pool["InstanceType"] == wanted)


def _is_ours(resource: dict[str, Any], context: Context) -> bool:
    tags = {tag["Key"]: tag["Value"] for tag in resource.get("Tags", ())}
    return tags.get("project") == PROJECT and tags.get("stage") == context.stage.name


CHECKS = (
    # Some thousand quotas, a hundred a page.
    Check("Quota of the endpoint's instance type", _endpoint_instances, seconds=120),
    Check("Quota Fargate vCPU", _fargate),
    Check("Quota Elastic IP addresses", _addresses),
    Check("Quota VPCs", _vpcs),
)
