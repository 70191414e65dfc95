"""Errors that a distribution keeps and answers with in place of its origin.

Sources: awsdocs/amazon-cloudfront-developer-guide, HTTPStatusCodes.md, for which statuses;
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/custom-error-pages-expiration.html for how long.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ministack.services import cloudfront

from localcloud.aws_time import ERROR_KEPT, factor
from localcloud.emulator.edge.answers import Answer

METHODS = ("GET", "HEAD")
ALWAYS = frozenset({404, 405, 414, 500, 501, 502, 503, 504})
WHEN_TOLD = frozenset({400, 403, 412, 415})
"""Kept only if the origin's `Cache-Control` has a `max-age` or an `s-maxage`."""
MOST = 1000
Key = tuple[str, ...]


@dataclass(frozen=True)
class Kept:
    """An error and its time, on the monotonic clock."""

    answer: Answer
    began: float
    ends: float


class KeptErrors:
    """The errors that all distributions keep."""

    def __init__(self) -> None:
        self._kept: dict[Key, Kept] = {}

    def find(self, key: Key) -> Answer | None:
        """The error that is kept for an object; None when the origin is to be asked."""
        found, now = self._kept.get(key), time.monotonic()
        if found is None or now >= found.ends:
            return None
        status, headers, body = found.answer
        return status, {**headers, "Age": str(int((now - found.began) * factor()))}, body

    def keep(self, key: Key, answer: Answer, seconds: float) -> None:
        """Answer with this for `seconds`."""
        now = time.monotonic()
        self._kept = {key: each for key, each in self._kept.items() if each.ends > now}
        if len(self._kept) < MOST:
            self._kept[key] = Kept(answer, now, now + seconds)


def key_of(distribution: Any, path: str, uri: str, query: str, headers: Mapping[str, Any]) -> Key:
    """What an object is kept under: distribution, path, and what of query and headers the cache policy names.

    The managed policy CachingDisabled names nothing: callers with a key and without one share an object.
    """
    behavior = cloudfront._match_behavior(cloudfront.parse_distribution_dataplane_config(distribution), path) or {}
    parameters = cloudfront.cache_policy_params(behavior.get("cache_policy_id")) or {}
    fields = parameters.get("Headers", ()) if parameters.get("HeaderBehavior", "none") != "none" else ()
    return (
        distribution["Id"],
        uri,
        query if parameters.get("QueryStringBehavior", "none") != "none" else "",
        *(str(headers.get(name.lower(), "")) for name in fields),
    )


def kept_seconds(distribution: Any, status: int, headers: Mapping[str, Any]) -> float:
    """How long an answer is kept, in seconds here; 0 when it is not. A longer `max-age` of the origin counts."""
    told = _max_age(headers)
    if status not in ALWAYS and (status not in WHEN_TOLD or told is None):
        return 0.0
    declared = _declared(distribution).get(status, ERROR_KEPT.seconds)
    return max(declared, told or 0.0) / factor()


def _declared(distribution: Any) -> dict[int, float]:
    """ErrorCachingMinTTL by status, in seconds on AWS, of the error responses that state it."""
    responses = cloudfront._find(cloudfront._dist_config_el(distribution), "CustomErrorResponses")
    items = None if responses is None else cloudfront._find(responses, "Items")
    return {
        int(cloudfront._text(item, "ErrorCode")): float(seconds)
        for item in (items if items is not None else ())
        if (seconds := cloudfront._opt_text(item, "ErrorCachingMinTTL"))
    }


def _max_age(headers: Mapping[str, Any]) -> float | None:
    control = next((str(value) for name, value in headers.items() if name.lower() == "cache-control"), "")
    parts = dict(part.strip().lower().partition("=")[::2] for part in control.split(","))
    age = parts.get("s-maxage", parts.get("max-age", ""))
    return float(age) if age.isdecimal() else None
