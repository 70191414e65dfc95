"""Differences between two texts, by lines and by words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

WORDS = re.compile(r"\s+|\w+|[^\w\s]")
WORDS_LIMIT = 600
"""Lines with more words are marked as a whole, since the comparison of words takes quadratic time."""


@dataclass(frozen=True)
class Line:
    """One line of the difference.

    Attributes:
        kind: "same", "removed" or "added".
        old, new: line number in each text, None where it does not occur.
        parts: pieces of its text, each with whether it changed.
    """

    kind: str
    old: int | None
    new: int | None
    parts: tuple[tuple[bool, str], ...]


def diff(old: str, new: str) -> list[Line]:
    """All lines of both texts in order; a changed line is removed and then added."""
    before, after = old.splitlines(), new.splitlines()
    lines: list[Line] = []
    for kind, i1, i2, j1, j2 in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            lines += [Line("same", i + 1, j1 + i - i1 + 1, ((False, before[i]),)) for i in range(i1, i2)]
            continue
        pairs = [_words(a, b) for a, b in zip(before[i1:i2], after[j1:j2], strict=False)]
        for number, i in enumerate(range(i1, i2)):
            parts = pairs[number][0] if number < len(pairs) else ((True, before[i]),)
            lines.append(Line("removed", i + 1, None, parts))
        for number, j in enumerate(range(j1, j2)):
            parts = pairs[number][1] if number < len(pairs) else ((True, after[j]),)
            lines.append(Line("added", None, j + 1, parts))
    return lines


Parts = tuple[tuple[bool, str], ...]


def _words(old: str, new: str) -> tuple[Parts, Parts]:
    before, after = WORDS.findall(old), WORDS.findall(new)
    if max(len(before), len(after)) > WORDS_LIMIT:
        return ((True, old),), ((True, new),)
    codes = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    return (
        _parts(before, [(kind, i1, i2) for kind, i1, i2, _, _ in codes]),
        _parts(after, [(kind, j1, j2) for kind, _, _, j1, j2 in codes]),
    )


def _parts(words: Sequence[str], places: Sequence[tuple[str, int, int]]) -> Parts:
    return tuple((kind != "equal", "".join(words[begin:end])) for kind, begin, end in places if end > begin)
