"""What a question asks for, found without a model: keyword variants and author names that the store knows."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from importlib import resources

from services.rag.stores.documents import StoreUnavailable
from services.rag.stores.qdrant import QdrantStore

WORD = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*")
MIN_NAME_CHARS = 3
AUTHORS_MAX_AGE_SECONDS = 60.0

# Function words and the verbs that questions are built with: they say nothing about the topic.
STOP_WORDS = frozenset(
    (resources.files("services.rag") / "pipeline" / "stop_words.txt").read_text(encoding="utf-8").split()
)


def expand_query(query: str) -> list[str]:
    """The question, and its keywords alone when they differ: without function words an embedding leans to the topic."""
    keywords = " ".join(word for word in WORD.findall(query) if word.casefold() not in STOP_WORDS)
    if not keywords or keywords.casefold() == query.strip().casefold():
        return [query]
    return [query, keywords]


def named_authors(query: str, authors: Iterable[str]) -> list[str]:
    """Those of the known authors that the question names, in full or by one capitalised part of the name.

    A part that several authors share names none of them: guessing would hide the documents of the others.
    """
    known = sorted(set(authors))
    folded = f" {' '.join(WORD.findall(query)).casefold()} "
    full = [name for name in known if f" {' '.join(_parts(name))} " in folded]
    if full:
        return full
    capitalised = {_bare(word) for word in WORD.findall(query) if word[0].isupper()}
    owners: dict[str, list[str]] = {}
    for name in known:
        for part in set(_parts(name)):
            owners.setdefault(part, []).append(name)
    found = {names[0] for part, names in owners.items() if len(names) == 1 and part in capitalised}
    return sorted(found)


def _parts(name: str) -> list[str]:
    parts = [part.casefold() for part in re.split(r"[\W_]+", name) if part]
    return [part for part in parts if len(part) >= MIN_NAME_CHARS] or parts


def _bare(word: str) -> str:
    """A word of a question as part of a name: without the possessive ending."""
    return re.sub(r"'s?$", "", word.casefold())


class KnownAuthors:
    """The store's authors, remembered for a minute, so that a question costs no extra call."""

    def __init__(self, store: QdrantStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._names: Sequence[str] = ()
        self._loaded: float | None = None

    async def names(self) -> Sequence[str]:
        """Names of all authors; those known before when the store does not answer."""
        now = self._clock()
        if self._loaded is None or now - self._loaded > AUTHORS_MAX_AGE_SECONDS or not self._names:
            try:
                self._names, self._loaded = await self._store.authors(), now
            except StoreUnavailable:
                # The search that follows reports the outage; a filter is not worth failing for.
                return self._names
        return self._names
