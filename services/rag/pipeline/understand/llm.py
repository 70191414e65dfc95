"""Understanding by a language model, with answers in JSON that are checked before they are used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from services.rag.pipeline.understand.base import Expansion, Extraction
from services.rag.pipeline.understand.known_authors import spelled_as_known
from services.rag.prompts.structured import StructuredAnswerFailed, StructuredChat, read_prompt
from services.rag.stores.filters import Filters

EXPAND_PROMPT = "expand_query.v1"
EXTRACT_PROMPT = "self_query.v1"
MAX_VARIANT_CHARS = 500
TOKENS_PER_VARIANT = 80
EXTRACT_TOKENS = 200
# A corpus with more authors than this is asked about without the list: it would be most of the prompt.
MAX_LISTED_AUTHORS = 100


class Rephrasings(BaseModel):
    """The model's answer to `expand_query`."""

    model_config = ConfigDict(extra="forbid")

    rephrasings: list[Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_VARIANT_CHARS)]]


class AskedFilters(BaseModel):
    """The model's answer to `self_query`."""

    model_config = ConfigDict(extra="forbid")

    authors: list[str]
    after: date | None
    before: date | None


class LlmUnderstanding:
    """Asks a model; on any failure the question is used alone and without filters, and the result says `degraded`."""

    def __init__(self, chat: StructuredChat, model: str, variants: int, today: Callable[[], date] = date.today) -> None:
        """Read the prompts of the package.

        Args:
            chat: the model.
            model: its name in traces.
            variants: rephrasings to search with; 0 switches expansion off.
            today: the day of the question.
        """
        self._chat = chat
        self._model = model
        self._variants = variants
        self._today = today
        self._expand = read_prompt(EXPAND_PROMPT)
        self._extract = read_prompt(EXTRACT_PROMPT)

    async def expand(self, query: str) -> Expansion:
        """Rephrasings that differ from the question and from each other."""
        if not self._variants:
            return Expansion((), "off")
        source = {"model": self._model, "prompt": EXPAND_PROMPT}
        question = {"question": query, "number": self._variants}
        try:
            answer = await self._chat.ask(self._expand, question, Rephrasings, TOKENS_PER_VARIANT * self._variants)
        except StructuredAnswerFailed as error:
            return Expansion((), "degraded", str(error), source)
        different = {text.casefold(): text for text in reversed(answer.rephrasings) if text}
        different.pop(query.strip().casefold(), None)
        return Expansion(tuple(reversed(different.values()))[: self._variants], "llm", None, source)

    async def extract(self, query: str, authors: Sequence[str]) -> Extraction:
        """Authors and dates of the question; an author that the store does not know is dropped."""
        source = {"model": self._model, "prompt": EXTRACT_PROMPT}
        listed = list(authors) if len(authors) <= MAX_LISTED_AUTHORS else []
        question = {"question": query, "authors": listed, "today": self._today().isoformat()}
        try:
            answer = await self._chat.ask(self._extract, question, AskedFilters, EXTRACT_TOKENS)
        except StructuredAnswerFailed as error:
            return Extraction(Filters(), "degraded", str(error), source)
        return _without_wrong_filters(answer, authors, source)


def _without_wrong_filters(answer: AskedFilters, authors: Sequence[str], source: dict[str, str]) -> Extraction:
    """Drop filters that cannot be right: a wrong one would hide the right document."""
    dropped: list[str] = []
    known: list[str] = []
    for name in answer.authors:
        found = spelled_as_known(name, authors)
        known += [author for author in found if author not in known]
        if not found:
            dropped.append("an author that the store does not know was left out")
    after, before = answer.after, answer.before
    if after and before and after >= before:
        after = before = None
        dropped.append("dates that contradict each other were left out")
    reason = "; ".join(dict.fromkeys(dropped)) or None
    return Extraction(Filters(tuple(known), after, before), "llm", reason, source)
