"""Rules of CloudFront."""

from __future__ import annotations

from datetime import date

from ministack.services import cloudfront

from localcloud.emulator.rules.rule import Change, Rule, Values


def _in_use(change: Change) -> Values | None:
    if change.action != "update" or not cloudfront._vpc_origin_in_use(change.physical_id):
        return None
    return {}


RULES = (
    Rule(
        name="vpc-origin-in-use",
        service="CloudFront",
        refused="a stack changes anything of a VPC origin that a distribution uses, also a tag",
        code="CannotUpdateEntityWhileInUse",
        message="Invalid request provided: AWS::CloudFront::VpcOrigin: The specified VPC origin is currently "
        "associated with one or more distributions. Please disassociate the VPC origin from all distributions before "
        "updating or deleting (Service: CloudFront, Status Code: 409)",
        source="https://github.com/aws/aws-cdk/issues/35765",
        seen=date(2026, 11, 29),
        certainty="reported",
        applies=_in_use,
        types=("AWS::CloudFront::VpcOrigin",),
        status=409,
    ),
)
