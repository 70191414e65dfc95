"""Every page of a list: of operations that botocore pages, and of those that it does not know how to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

NEXT = "NextMarker"
MARKERS = {"cloudfront": "Marker", "wafv2": NEXT}
"""By service: the argument that takes an answer's `NextMarker`, where botocore has no paginator for some lists."""


def pages(client: Any, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
    """Answers of a list operation, until its service has no more.

    Args:
        client: of boto3.
        operation: method of the client.
        key: the field that holds the list; `Outer.Inner` is a field inside another, beside which its marker lies.
        arguments: of the operation.
    """
    if client.can_paginate(operation):
        yield from client.get_paginator(operation).paginate(**arguments)
        return
    while True:
        answer = getattr(client, operation)(**arguments)
        yield answer
        beside = answer.get(key.split(".")[0]) if "." in key else answer
        marker = (beside or {}).get(NEXT)
        if not marker:
            return
        arguments[MARKERS[client.meta.service_model.service_name]] = marker
