"""One page of a list, as AWS's list operations cut them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from localcloud.emulator.registry import ServiceError

Item = TypeVar("Item")


def page(items: Sequence[Item], request: Mapping[str, Any], default: int) -> tuple[Sequence[Item], dict[str, str]]:
    """Those of `items` that `request` asks for, and the fields that lead to the next ones.

    Args:
        items: the whole list, in an order that is the same for every page.
        request: `MaxResults` is the most that a page holds, `NextToken` what the page before ended with.
        default: how long a page is when the request does not say.

    Raises:
        ServiceError: `ValidationException` for a token that no page ended with.
    """
    token = str(request.get("NextToken") or "0")
    if not token.isdecimal() or int(token) > len(items):
        raise ServiceError("ValidationException", "The pagination token is not valid.")
    start = int(token)
    end = start + int(request.get("MaxResults") or default)
    return items[start:end], {"NextToken": str(end)} if end < len(items) else {}
