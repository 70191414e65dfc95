"""Understanding without a model: keyword variants, names that the store knows, dates in plain words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

from services.rag.pipeline.understand.base import Expansion, Extraction
from services.rag.pipeline.understand.dates import asked_dates
from services.rag.pipeline.understand.known_authors import named_authors
from services.rag.pipeline.understand.words import keywords
from services.rag.stores.filters import Filters


class DeterministicUnderstanding:
    """Keywords, known authors and dates by rules: microseconds per question, and repeatable."""

    def __init__(self, variants: int, today: Callable[[], date] = date.today) -> None:
        """Keep the settings.

        Args:
            variants: most variants; there is one at best, so that 0 switches expansion off and more changes nothing.
            today: the day of the question, which bounds the years that count as dates.
        """
        self._variants = variants
        self._today = today

    async def expand(self, query: str) -> Expansion:
        """The question's keywords, when they differ: without function words an embedding leans to the topic."""
        return Expansion(tuple(keyword_variants(query)[: self._variants]), "keywords" if self._variants else "off")

    async def extract(self, query: str, authors: Sequence[str]) -> Extraction:
        """Find the known authors that the question names, and the time that it asks for."""
        after, before = asked_dates(query, self._today())
        return Extraction(Filters(tuple(named_authors(query, authors)), after, before), "known-names")


def keyword_variants(query: str) -> list[str]:
    """The keywords of the question as one text; nothing when that is the question itself."""
    found = " ".join(keywords(query))
    return [found] if found and found.casefold() != query.strip().casefold() else []
