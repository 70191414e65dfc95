"""Reads the prompt contract between the business service and the LLM: documents and question in the last user message."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

DOCUMENT = re.compile(
    r'<document id="(?P<id>[^"]*)"(?: title="(?P<title>[^"]*)")?[^>]*>\n?(?P<text>.*?)\n?</document>', re.DOTALL
)
QUESTION = re.compile(r"<question>\n?(.*?)\n?</question>", re.DOTALL)


@dataclass(frozen=True)
class Document:
    """One numbered document of the context."""

    id: str
    title: str
    text: str


@dataclass(frozen=True)
class Prompt:
    """A question with the documents to answer it from; none when retrieval was off."""

    question: str
    documents: tuple[Document, ...]


def parse_prompt(message: str) -> Prompt:
    """The question and documents in `message`; a message without the markup is a question by itself."""
    question = QUESTION.search(message)
    documents = tuple(
        Document(found["id"], html.unescape(found["title"] or ""), html.unescape(found["text"]))
        for found in DOCUMENT.finditer(message)
    )
    return Prompt(html.unescape(question[1]).strip() if question else message.strip(), documents)
