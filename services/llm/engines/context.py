"""Parses the prompt contract: documents and question in the last user message."""

from __future__ import annotations

import re
from dataclasses import dataclass

_CONTEXT = re.compile(r"<context>\n?(.*?)</context>", re.DOTALL)
_DOCUMENT = re.compile(r'<document id="([^"]*)" title="([^"]*)">\n?(.*?)\n?</document>', re.DOTALL)
_QUESTION = re.compile(r"<question>\n?(.*?)\n?</question>", re.DOTALL)


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
    documents = [Document(*match) for match in _DOCUMENT.findall(context[1])] if context else None
    return Question((question[1] if question else rest).strip(), documents)
