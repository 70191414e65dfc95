"""Plain-text helpers that several services share."""

from __future__ import annotations

import re

ABBREVIATIONS = ("e.g.", "i.e.", "etc.", "vs.", "cf.", "approx.", "Dr.", "Mr.", "Mrs.", "Ms.", "No.", "Fig.", "al.")
CODE_BLOCK = re.compile(r"```.*?```", re.DOTALL)
BOUNDARY = re.compile(r"(?<=[.!?])[\"')\]]?\s+(?=[\"'(\[]?[A-Z0-9])|\n\s*\n|\n(?=\s*(?:[-*#]|\d+\.)\s)")
CHARACTERS_PER_TOKEN = 4


def split_sentences(text: str) -> list[str]:
    """Sentences of prose, headings and list items; a fenced code block stays whole. Empty parts are dropped."""
    parts: list[str] = []
    position = 0
    for block in CODE_BLOCK.finditer(text):
        parts += _split_prose(text[position : block.start()])
        parts.append(block.group().strip())
        position = block.end()
    return parts + _split_prose(text[position:])


def _split_prose(text: str) -> list[str]:
    sentences: list[str] = []
    start = 0
    for boundary in BOUNDARY.finditer(text):
        piece = text[start : boundary.start()]
        if piece.rstrip().endswith(ABBREVIATIONS) and "\n" not in boundary.group():
            continue
        sentences.append(piece)
        start = boundary.end()
    sentences.append(text[start:])
    return [" ".join(sentence.split()) for sentence in sentences if sentence.strip()]


def estimate_tokens(text: str) -> int:
    """Tokens of `text` by the rule of four characters a token: an estimate, for where no tokenizer is at hand."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)
