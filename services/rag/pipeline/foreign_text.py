"""Neutralises what has a meaning in a prompt in text of callers and documents.

Two things have one: the delimiters of our own templates, and the control tokens of the model, with which a chat
template separates messages. In text of others both could end a document, or begin a message of another role.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

DELIMITERS = frozenset({"context", "document", "question"})
# An opening bracket, also in its full and small width, with the first characters of what may be a name. Characters
# without a width and slashes may stand between.
_OPENING = re.compile(r"[<\uff1c\ufe64](?=[\s/\uff0f\u00ad\u200b-\u200f\u2060-\u2064\ufeff]*+(.{0,40}))", re.DOTALL)
# Control tokens of the common chat templates (ChatML, Llama, Mistral, Gemma, Phi), for a model whose tokenizer is not
# known here.
_USUAL_TOKENS = re.compile(
    r"<(?=\|[^|<>\s]{1,40}\|>)|<(?=/?(?:s|bos|eos|start_of_turn|end_of_turn)>)|\[(?=/?(?:INST|SYSTEM_PROMPT)\])|<(?=</?SYS>>)"
)
SHORTEST_TOKEN = 3


class ForeignText:
    """Escapes text of others for the prompt of a model; linear in the length of the text."""

    def __init__(self, special_tokens: Iterable[str] = ()) -> None:
        """Prepare for a model.

        Args:
            special_tokens: the control tokens of its tokenizer. Those that are plain words are left alone.
        """
        marks = sorted(
            (each for each in set(special_tokens) if len(each) >= SHORTEST_TOKEN and re.search(r"[^\w\s]", each)),
            key=len,
            reverse=True,
        )
        self._tokens = re.compile("|".join(map(re.escape, marks))) if marks else None

    def escape(self, text: str) -> str:
        """The text with the first character of each delimiter and control token as a character reference."""
        text = _OPENING.sub(_escape_delimiter, text)
        text = _USUAL_TOKENS.sub(_escape_first, text)
        return self._tokens.sub(_escape_first, text) if self._tokens else text


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
    token = found[0]
    return f"{'&lt;' if token[0] == '<' else f'&#{ord(token[0])};'}{token[1:]}"
