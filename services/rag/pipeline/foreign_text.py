"""Neutralises what has a meaning in a prompt in text of callers and documents.

Two things have one: the delimiters of our own templates, and the control tokens of the model, with which a chat
template separates messages. In text of others both could end a document, or begin a message of another role.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

DELIMITERS = frozenset({"context", "document", "question"})
# What follows an opening bracket: characters without a width and slashes, then the first characters of what may be a
# name. Each pattern begins with one character, which the engine finds many times faster than one of several.
_NAME = r"(?=[\s/\uff0f\u00ad\u200b-\u200f\u2060-\u2064\ufeff]*+(.{0,40}))"
_OPENINGS = tuple(re.compile(bracket + _NAME, re.DOTALL) for bracket in ("<", "\uff1c", "\ufe64"))
# Control tokens of the common chat templates (ChatML, Llama, Mistral, Gemma, Phi), for a model whose tokenizer is not
# known here.
_USUAL_TOKENS = (
    re.compile(r"<(?=\|[^|<>\s]{1,40}\|>|/?(?:s|bos|eos|start_of_turn|end_of_turn)>|</?SYS>>)"),
    re.compile(r"\[(?=/?(?:INST|SYSTEM_PROMPT)\])"),
)
SHORTEST_TOKEN = 3


class ForeignText:
    """Escapes text of others for the prompt of a model; linear in the length of the text."""

    def __init__(self, special_tokens: Iterable[str] = ()) -> None:
        """Prepare for a model.

        Args:
            special_tokens: the control tokens of its tokenizer. Those that are plain words are left alone.
        """
        marks = {each for each in special_tokens if len(each) >= SHORTEST_TOKEN and re.search(r"[^\w\s]", each)}
        self._tokens = (*_USUAL_TOKENS, *_first_characters(marks))

    def escape(self, text: str) -> str:
        """The text with the first character of each delimiter and control token as a character reference."""
        for opening in _OPENINGS:
            text = opening.sub(_escape_delimiter, text)
        for token in self._tokens:
            text = token.sub(_escape_first, text)
        return text


def _first_characters(tokens: Iterable[str]) -> Iterator[re.Pattern[str]]:
    """Patterns for the first character of each token, one for each first character."""
    rests: dict[str, list[str]] = {}
    for token in sorted(tokens):
        rests.setdefault(token[0], []).append(re.escape(token[1:]))
    for first, rest in rests.items():
        yield re.compile(f"{re.escape(first)}(?={'|'.join(rest)})")


def _escape_delimiter(found: re.Match[str]) -> str:
    return "&lt;" if _first_word(found[1]) in DELIMITERS else found[0]


def _first_word(text: str) -> str:
    """The word that a text begins with, however its letters are written."""
    word = ""
    for character in text:
        if unicodedata.category(character) == "Cf":
            continue
        folded = unicodedata.normalize("NFKC", character).casefold()
        if not folded.replace("_", "a").isalnum():
            break
        word += folded
    return word


def _escape_first(found: re.Match[str]) -> str:
    return "&lt;" if found[0] == "<" else f"&#{ord(found[0])};"
