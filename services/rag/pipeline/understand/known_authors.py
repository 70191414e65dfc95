"""The authors of the store, and which of them a question names."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from services.rag.errors import StoreUnavailable
from services.rag.pipeline.understand.words import WORD

MIN_NAME_CHARS = 3
MAX_AGE_SECONDS = 60.0


class AuthorSource(Protocol):
    """The part of the store that lists its authors."""

    async def authors(self) -> list[str]:
        """Names of all authors."""
        ...


class KnownAuthors:
    """The store's authors, remembered for a minute, so that a question costs no extra call."""

    def __init__(self, store: AuthorSource, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._names: Sequence[str] = ()
        self._loaded: float | None = None

    async def names(self) -> Sequence[str]:
        """Names of all authors; those known before when the store does not answer."""
        now = self._clock()
        if self._loaded is None or now - self._loaded > MAX_AGE_SECONDS or not self._names:
            try:
                self._names, self._loaded = await self._store.authors(), now
            except StoreUnavailable:
                # The search that follows reports the outage; a filter is not worth failing for.
                return self._names
        return self._names


def spelled_as_known(name: str, known: Iterable[str]) -> list[str]:
    """The known authors that `name` means: people write a name in another case than the documents do."""
    return [author for author in known if author.casefold() == name.strip().casefold()]


def named_authors(query: str, authors: Iterable[str]) -> list[str]:
    """Those of the known authors that the question names, in full or by one capitalised part of the name.

    A part that several authors share names none of them: guessing would hide the documents of the others.
    """
    known = sorted(set(authors))
    folded = f" {' '.join(WORD.findall(query)).casefold()} "
    full = [name for name in known if f" {' '.join(_parts(name))} " in folded]
    if full:
        return full
    capitalised = {_without_possessive(word) for word in WORD.findall(query) if word[0].isupper()}
    owners: dict[str, list[str]] = {}
    for name in known:
        for part in set(_parts(name)):
            owners.setdefault(part, []).append(name)
    found = {names[0] for part, names in owners.items() if len(names) == 1 and part in capitalised}
    return sorted(found)


def _parts(name: str) -> list[str]:
    parts = [part.casefold() for part in re.split(r"[\W_]+", name) if part]
    return [part for part in parts if len(part) >= MIN_NAME_CHARS] or parts


def _without_possessive(word: str) -> str:
    """A word of a question as part of a name: without the possessive ending."""
    return re.sub(r"'s?$", "", word.casefold())
