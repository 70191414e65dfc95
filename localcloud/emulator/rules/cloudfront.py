"""Rules of CloudFront."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from ministack.services import cloudfront

from localcloud.emulator.rules.rule import Change, Rule, Values


def _in_use(change: Change) -> Values | None:
    if change.action != "update" or not cloudfront._vpc_origin_in_use(change.physical_id):
        return None
    return {}


LONGEST_SECONDS = 120
"""Of the read and the keep-alive timeout of an origin."""
ERROR_CODES = (400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504)
"""https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/HTTPStatusCodes.html."""
MODEL = "botocore 1.43.106, cloudfront/2020-05-31"


def _origins(change: Change) -> Iterator[Mapping[str, Any]]:
    """Configurations of the origins of a distribution that are not S3's."""
    for origin in (change.after.get("DistributionConfig") or {}).get("Origins") or ():
        yield origin.get("VpcOriginConfig") or origin.get("CustomOriginConfig") or {}


def _wrong_time(change: Change, key: str) -> Values | None:
    for origin in _origins(change):
        if not 1 <= int(origin.get(key, 1)) <= LONGEST_SECONDS:
            return {}
    return None


def _wrong_read_time(change: Change) -> Values | None:
    return _wrong_time(change, "OriginReadTimeout")


def _wrong_keep_alive(change: Change) -> Values | None:
    return _wrong_time(change, "OriginKeepaliveTimeout")


def _unknown_error(change: Change) -> Values | None:
    responses = (change.after.get("DistributionConfig") or {}).get("CustomErrorResponses") or ()
    return {} if any(int(each["ErrorCode"]) not in ERROR_CODES for each in responses) else None


def _distribution_rule(name: str, refused: str, code: str, message: str, applies: Any) -> Rule:
    return Rule(
        name=name,
        service="CloudFront",
        refused=refused,
        code=code,
        message=message,
        source=f"{MODEL}, CreateDistribution",
        seen=date(2026, 11, 29),
        certainty="modelled",
        applies=applies,
        types=("AWS::CloudFront::Distribution",),
    )


RULES = (
    _distribution_rule(
        "origin-read-timeout",
        "CloudFront is to wait for an origin for less than 1 or more than 120 seconds",
        "InvalidOriginReadTimeout",
        "The read timeout specified for the origin is not valid.",
        _wrong_read_time,
    ),
    _distribution_rule(
        "origin-keep-alive",
        "CloudFront is to keep a connection to an origin for less than 1 or more than 120 seconds",
        "InvalidOriginKeepaliveTimeout",
        "The keep alive timeout specified for the origin is not valid.",
        _wrong_keep_alive,
    ),
    _distribution_rule(
        "error-code",
        "an error response of a distribution is for a status that CloudFront does not keep",
        "InvalidErrorCode",
        "An invalid error code was specified.",
        _unknown_error,
    ),
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
