"""Pagination of lists, as in AWS's List and Describe operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from localcloud.emulator.registry import ServiceError

Item = TypeVar("Item")


def page(items: Sequence[Item], request: Mapping[str, Any], default: int) -> tuple[Sequence[Item], dict[str, str]]:
    """One page of `items`, and the response fields that lead to the next one (`NextToken`, or nothing on the last
    page).

    Args:
        items: the whole list, in an order that is the same for every page.
        request: `MaxResults` is the largest number of items, `NextToken` the token of the page before.
        default: number of items when the request has no `MaxResults`.

    Raises:
        ServiceError: `ValidationException` for a token that no page returned.
    """
    token = str(request.get("NextToken") or "0")
    if not token.isdecimal() or int(token) > len(items):
        raise ServiceError("ValidationException", "The pagination token is not valid.")
    start = int(token)
    end = start + int(request.get("MaxResults") or default)
    return items[start:end], {"NextToken": str(end)} if end < len(items) else {}
