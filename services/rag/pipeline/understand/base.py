"""The interface of query understanding: rephrasings of a question, and filters in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from services.rag.stores.filters import Filters


@dataclass(frozen=True)
class Expansion:
    """Rephrasings of a question.

    Attributes:
        variants: to search with beside the question itself, which is not among them.
        method: how they were found; `degraded` means that they were not.
        reason: one sentence about why it degraded.
        source: the model and prompt behind it, for traces.
    """

    variants: tuple[str, ...]
    method: Literal["llm", "keywords", "degraded", "off"]
    reason: str | None = None
    source: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Extraction:
    """Filters that a question contains.

    Attributes:
        filters: what to narrow the search to.
        method: how they were found; `degraded` means that they were not, and that there are none.
        reason: one sentence about why it degraded, or about what was dropped.
        source: the model and prompt behind it, for traces.
    """

    filters: Filters
    method: Literal["llm", "known-names", "degraded", "off"]
    reason: str | None = None
    source: dict[str, str] = field(default_factory=dict)


class QueryUnderstanding(Protocol):
    """Rephrases questions and finds the filters in them. Neither method raises: retrieval works without them."""

    async def expand(self, query: str) -> Expansion:
        """Rephrase the question."""
        ...

    async def extract(self, query: str, authors: Sequence[str]) -> Extraction:
        """Find the filters in the question; `authors` are the names that the store knows."""
        ...


class NoUnderstanding:
    """Neither rephrases nor filters."""

    async def expand(self, query: str) -> Expansion:
        """No rephrasings."""
        return Expansion((), "off")

    async def extract(self, query: str, authors: Sequence[str]) -> Extraction:
        """No filter."""
        return Extraction(Filters(), "off")
