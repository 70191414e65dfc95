"""Numbers and terms of a claim that occur in the sources, which embeddings do not distinguish well."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_WORD = re.compile(r"[^\W\d_]{3,}")
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
_TENS = "thirty forty fifty sixty seventy eighty ninety"
_NUMBER_WORDS = {
    **{word: str(value) for value, word in enumerate(_ONES.split())},
    **{word: str(10 * value) for value, word in enumerate(_TENS.split(), 3)},
    "hundred": "100",
    "thousand": "1000",
}
# "One" is an article as often as a number.
del _NUMBER_WORDS["one"]
_FREQUENT = (
    "about after all also and any are been before being but can cannot could did does down each every for from had has "
    "have having her here his how into its just may might more most never not off only other our out over own same "
    "shall she should some such than that the their them then there these they this those under until very was were "
    "what when where which while who why will with without would you your"
)
_STOP_WORDS = frozenset(_FREQUENT.split())
_ENDINGS = ("ings", "ing", "ies", "ed", "es", "ly", "s")
_MIN_STEM = 3
_COMMON_BEGINNING = 5


class Evidence:
    """Numbers and terms of the sources of one answer."""

    def __init__(self, context: Sequence[str]) -> None:
        """Read the sources once; every claim is compared with them."""
        self._numbers = {number for text in context for number in numbers(text)}
        terms = {term for text in context for term in _terms(text)}
        self._terms = terms | {_beginning(term) for term in terms}

    def number_support(self, claim: str) -> float:
        """Share of the claim's numbers that the sources hold, 0..1; 1 for a claim without numbers."""
        found = numbers(claim)
        return len(found & self._numbers) / len(found) if found else 1.0

    def term_support(self, claim: str) -> float:
        """Share of the claim's content words that the sources hold, 0..1; 1 for a claim without content words.

        Words agree by a common stem, or by their first five letters ("caching", "cached").
        """
        found = _terms(claim)
        if not found:
            return 1.0
        return sum(term in self._terms or _beginning(term) in self._terms for term in found) / len(found)


def numbers(text: str) -> set[str]:
    """The numbers of a text in one spelling: `1,030` as `1030`, `five` as `5`."""
    written = {match.replace(",", "") for match in _NUMBER.findall(text)}
    return written | {_NUMBER_WORDS[word] for word in _WORD.findall(text.lower()) if word in _NUMBER_WORDS}


def _terms(text: str) -> set[str]:
    return {_stem(word) for word in _WORD.findall(text.lower()) if word not in _STOP_WORDS}


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _MIN_STEM:
            return word[: -len(ending)]
    return word


def _beginning(term: str) -> str:
    return term[:_COMMON_BEGINNING]
