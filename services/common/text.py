"""Plain-text helpers: control characters, sentences and token estimates."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

CHARACTERS_PER_TOKEN = 4

_FENCE = re.compile(r"^\s*(```|~~~)")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+")
_ITEM = re.compile(r"^\s*(?:[-*+]|\d{1,3}[.)])\s+")
_QUOTE = re.compile(r"^\s*>\s?")
_TABLE = re.compile(r"^\s*\|")
_CODE_SPAN = re.compile(r"(?<!`)`++[^`]++`++")
# The end mark with what closes it, citations like [1] that belong to the sentence, then space before a new start.
_END = re.compile(r"(?<![.!?])[.!?]+[\"'”’)\]*_]*(?:\s*\[\d+\])*\s+(?=[\"'“‘(\[*_`]*[A-Z0-9À-ÖØ-Þ]|`)")  # noqa: RUF001 - typographic quotes are meant
_ABBREVIATION = re.compile(
    r"(?:\b(?i:e\.g|i\.e|cf|vs|resp|approx|ca|dr|mr|mrs|ms|prof|st|ltd|jr|sr|fig|eq|vol|al|pp)"
    # A single capital that stands alone is an initial (J. Doe).
    r"|(?<![\w.])[A-Z])\.$"
)
_NUMBER_SIGN = re.compile(r"\b(?:No|Nr)\.$")


def without_control_characters(text: str) -> str:
    """The text without control characters (category Cc) but line ends and tabs."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) != "Cc")


def estimate_tokens(text: str) -> int:
    """Estimated number of tokens: characters / 4, rounded up. An estimate, never to be reported as a count."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def split_sentences(text: str) -> list[str]:
    """Sentences of Markdown-like prose, in order, without empty ones.

    A heading, a list item, a table row and a fenced code block are units of their own; a code block stays whole.
    Abbreviations, decimal numbers, addresses and inline code do not end a sentence. Markers of headings, items and
    quotations are left out.
    """
    sentences: list[str] = []
    for block, is_code in _blocks(text):
        sentences.extend([block] if is_code else _split(block))
    return sentences


def _blocks(text: str) -> Iterator[tuple[str, bool]]:
    """Blocks as (text, whether it is whole); lines of one paragraph or item are joined by a space."""
    lines: list[str] = []
    fence: list[str] = []
    opened = ""

    def flush() -> Iterator[tuple[str, bool]]:
        if lines:
            yield " ".join(lines), False
            lines.clear()

    for line in text.splitlines():
        mark = _FENCE.match(line)
        if fence:
            fence.append(line)
            if mark and mark[1] == opened:
                yield "\n".join(fence), True
                fence.clear()
            continue
        if mark:
            yield from flush()
            opened = mark[1]
            fence.append(line)
            continue
        line = _QUOTE.sub("", line)
        if not line.strip():
            yield from flush()
        elif _HEADING.match(line) or _TABLE.match(line):
            yield from flush()
            yield _HEADING.sub("", line).strip(), False
        elif _ITEM.match(line):
            yield from flush()
            lines.append(_ITEM.sub("", line).strip())
        else:
            lines.append(line.strip())
    yield from flush()
    if fence:
        yield "\n".join(fence), True


def _split(paragraph: str) -> Iterator[str]:
    code = [match.span() for match in _CODE_SPAN.finditer(paragraph)]
    start = 0
    for match in _END.finditer(paragraph):
        if any(begin < match.start() < end for begin, end in code):
            continue
        before = paragraph[start : match.start() + 1]
        if _ABBREVIATION.search(before) or (_NUMBER_SIGN.search(before) and paragraph[match.end()].isdigit()):
            continue
        yield paragraph[start : match.end()].strip()
        start = match.end()
    if rest := paragraph[start:].strip():
        yield rest
