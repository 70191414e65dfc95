"""Query parameters of pages; a value that cannot be read counts as absent."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from fastapi import Request

TEXT_LIMIT = 200


def text(request: Request, name: str) -> str:
    """A text, stripped and cut to `TEXT_LIMIT` characters; empty when absent."""
    return request.query_params.get(name, "").strip()[:TEXT_LIMIT]


def choice(request: Request, name: str, choices: Collection[str], default: str) -> str:
    """One of `choices`, or `default`."""
    found = request.query_params.get(name, default)
    return found if found in choices else default


def number(request: Request, name: str) -> float | None:
    """A finite number, or None."""
    try:
        found = float(request.query_params.get(name, ""))
    except ValueError:
        return None
    return found if math.isfinite(found) else None


@dataclass(frozen=True)
class Paging:
    """One page of a list.

    Attributes:
        number: number of this page, from 1.
        total: entries of the whole list.
        size: entries per page.
    """

    number: int
    total: int
    size: int

    @property
    def pages(self) -> int:
        """Number of pages, at least 1."""
        return max(1, -(-self.total // self.size))

    @property
    def first(self) -> int:
        """Number of the first entry, 0 when there is none."""
        return min(self.total, (self.number - 1) * self.size + 1)

    @property
    def last(self) -> int:
        """Number of the last entry."""
        return min(self.total, self.number * self.size)

    @property
    def offset(self) -> int:
        """Number of entries before this page."""
        return (self.number - 1) * self.size


def page_number(request: Request) -> int:
    """Number of the requested page, at least 1."""
    found = request.query_params.get("page", "")
    return max(1, int(found)) if found.isascii() and found.isdigit() and len(found) < 10 else 1


def paging(request: Request, total: int, size: int) -> Paging:
    """The requested page of a list with `total` entries; a number beyond the end becomes the last page."""
    number = page_number(request)
    return Paging(min(number, max(1, -(-total // size))), total, size)
