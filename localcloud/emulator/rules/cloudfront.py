"""Rules of CloudFront."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ministack.services import cloudfront

from localcloud.emulator.rules.rule import Change, Checks, Values


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


def _function_exists(change: Change) -> Values | None:
    return {} if change.action == "create" and change.after.get("Name") in cloudfront._functions else None


CHECKS: Checks = {
    "edge-function-exists": _function_exists,
    "origin-read-timeout": _wrong_read_time,
    "origin-keep-alive": _wrong_keep_alive,
    "error-code": _unknown_error,
    "vpc-origin-in-use": _in_use,
}
