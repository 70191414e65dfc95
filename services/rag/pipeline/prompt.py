"""Builds the chat messages for the LLM from versioned templates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from services.rag.stores.documents import Hit

VERSION = "1"
WITH_CONTEXT = "answer_with_context"
WITHOUT_CONTEXT = "answer_without_context"
USER_WITH_CONTEXT = "<context>\n{context}</context>\n<question>\n{question}\n</question>"
USER_WITHOUT_CONTEXT = "<question>\n{question}\n</question>"
DOCUMENT = '<document id="{number}" title="{title}">\n{text}\n</document>\n'

# English prose has about four characters per token; used for budgets only, marked as estimated where it is shown.
CHARS_PER_TOKEN = 4

# Our own delimiters inside foreign text would end a document or the question early.
_DELIMITER = re.compile(r"<(?=\s*/?\s*(?:context|document|question)\b)", re.IGNORECASE)


@dataclass(frozen=True)
class Template:
    """A prompt template: what traces and samples say about how the model was asked."""

    name: str
    version: str
    system: str
    user: str

    @property
    def text(self) -> str:
        """The whole template."""
        return f"{self.system}\n{self.user}"


@dataclass(frozen=True)
class Prompt:
    """Messages for the LLM and the hits that fitted in."""

    template: Template
    messages: list[dict[str, str]]
    context: str
    used: list[Hit]

    @property
    def chars(self) -> int:
        """Length of all messages."""
        return sum(len(message["content"]) for message in self.messages)


class PromptBuilder:
    """Formats prompts within a context budget."""

    def __init__(self, context_max_tokens: int) -> None:
        """Read the templates of the package.

        Args:
            context_max_tokens: most estimated tokens of retrieved text.
        """
        self._budget_chars = context_max_tokens * CHARS_PER_TOKEN
        self._with = Template(WITH_CONTEXT, VERSION, _read(WITH_CONTEXT), USER_WITH_CONTEXT)
        self._without = Template(WITHOUT_CONTEXT, VERSION, _read(WITHOUT_CONTEXT), USER_WITHOUT_CONTEXT)

    def build(self, query: str, hits: Sequence[Hit] | None) -> Prompt:
        """Messages for a question; `hits` None means retrieval is off, and an empty list that it found nothing.

        Hits go in by rank until one does not fit; a first hit that is too long alone is cut.
        """
        if hits is None:
            return _prompt(self._without, query, "", [])
        parts: list[str] = []
        used: list[Hit] = []
        left = self._budget_chars
        for hit in hits:
            part = _document(len(used) + 1, hit.chunk.title, hit.chunk.text if used else hit.chunk.text[:left])
            if used and len(part) > left:
                break
            parts.append(part)
            used.append(hit)
            left -= len(part)
        return _prompt(self._with, query, "".join(parts), used)


def estimate_tokens(text: str) -> int:
    """Estimated number of tokens (characters / 4)."""
    return -(-len(text) // CHARS_PER_TOKEN)


def escape(text: str) -> str:
    """Foreign text with our delimiters made harmless."""
    return _DELIMITER.sub("&lt;", text)


def _prompt(template: Template, query: str, context: str, used: list[Hit]) -> Prompt:
    # One pass of str.format over the template only: braces in questions and documents stay what they are.
    user = template.user.format(context=context, question=escape(query))
    messages = [{"role": "system", "content": template.system}, {"role": "user", "content": user}]
    return Prompt(template, messages, context, used)


def _document(number: int, title: str, text: str) -> str:
    title = escape(title).replace('"', "'").replace("\n", " ")
    return DOCUMENT.format(number=number, title=title, text=escape(text))


def _read(name: str) -> str:
    return (resources.files("services.rag") / "prompts" / f"{name}.v{VERSION}.txt").read_text(encoding="utf-8").strip()
