"""What a page's address asks for; what cannot be read counts as not asked."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from fastapi import Request

TEXT_LIMIT = 200


def text(request: Request, name: str) -> str:
    """A text, stripped, of at most 200 characters."""
    return request.query_params.get(name, "").strip()[:TEXT_LIMIT]


def choice(request: Request, name: str, choices: Collection[str], default: str) -> str:
    """One of `choices`."""
    found = request.query_params.get(name, default)
    return found if found in choices else default


def number(request: Request, name: str) -> float | None:
    """A finite number."""
    try:
        found = float(request.query_params.get(name, ""))
    except ValueError:
        return None
    return found if math.isfinite(found) else None


@dataclass(frozen=True)
class Paging:
    """One page of a list, counted from 1; a page beyond the last one is the last one.

    Attributes:
        number: of this page.
        total: entries in all.
        size: entries per page.
    """

    number: int
    total: int
    size: int

    @property
    def pages(self) -> int:
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
        return (self.number - 1) * self.size


def page_number(request: Request) -> int:
    """The page that is asked for, at least 1."""
    found = request.query_params.get("page", "")
    return max(1, int(found)) if found.isascii() and found.isdigit() and len(found) < 10 else 1


def paging(request: Request, total: int, size: int) -> Paging:
    """The page that is asked for, of those that there are."""
    number = page_number(request)
    return Paging(min(number, max(1, -(-total // size))), total, size)
