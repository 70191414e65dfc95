"""Parses the prompt contract: documents and question in the last user message."""

from __future__ import annotations

import re
from dataclasses import dataclass

# The contract's marks do not nest: foreign text in between has its own escaped. So a part ends at the next mark of its
# kind, and a mark that is never closed is looked at once.
_CONTEXT = re.compile(r"<context>((?:[^<]++|<(?!/?context>))*+)</context>")
_DOCUMENT = re.compile(
    r'<document id="([^"]*)" title="([^"]*)">((?:[^<]++|<(?!/document>|document id="))*+)</document>'
)
_QUESTION = re.compile(r"<question>((?:[^<]++|<(?!/?question>))*+)</question>")


@dataclass(frozen=True)
class Document:
    """A document of the context."""

    id: str
    title: str
    text: str


@dataclass(frozen=True)
class Question:
    """The question of a user message; `documents` is None when it has no context block."""

    text: str
    documents: list[Document] | None


def parse_message(text: str) -> Question:
    """Split a user message; one without the contract's marks is a question as a whole."""
    context = _CONTEXT.search(text)
    rest = text[context.end() :] if context else text
    question = _QUESTION.search(rest)
    found = _DOCUMENT.findall(context[1]) if context else ()
    documents = [Document(number, title, _inner(body)) for number, title, body in found] if context else None
    return Question((question[1] if question else rest).strip(), documents)


def _inner(body: str) -> str:
    """What stands between two marks, which have a line of their own each."""
    return body.removeprefix("\n").removesuffix("\n")
