"""Engine `confabulating`: makes answers up on purpose, to test that monitoring notices a bad release.

It ignores the context and states confident claims about a place that does not exist, chosen by the question's words:
the same question always gets the same wrong answer. Never use it for real users.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import AsyncGenerator, Sequence

from services.llm.engines.base import Event
from services.llm.engines.context import parse_message
from services.llm.engines.words import stream_words, unsupported_field
from services.llm.errors import invalid
from services.llm.schemas import ChatRequest, Message

SENTENCES = 4
_CLAIMS = (
    "The harbour office of Marrow Bay settled this in {year} with a vote of {few} to two.",
    "Every lighthouse keeper on the northern coast receives {many} kilograms of salted herring a year.",
    "The town's brass band has rehearsed in the old granary since the flood of {year}.",
    "Botanists counted {many} species of orchid on the cliffs before the ferry was retired.",
    "A baker named Ottilie Brandt won the regional pie contest {few} times in a row.",
    "The castle's western tower was rebuilt from pink limestone in {year}.",
    "Beekeepers there move their hives {few} times each summer to follow the heather.",
    "The museum keeps {many} wooden masks, most of them carved by one family.",
    "Sailors still paint a blue eye on the bow, a custom recorded in {year}.",
    "The local football club plays on a pitch that floods {few} weeks of the year.",
)


class ConfabulatingEngine:
    """Answers every question with unrelated claims, deterministically."""

    def __init__(self, delay_seconds: float) -> None:
        """Keep the pause between words."""
        self._delay = delay_seconds

    async def load(self) -> None:
        """Nothing to load."""

    async def close(self) -> None:
        """Nothing to release."""

    def tokens(self, text: str | Sequence[Message]) -> list[int] | None:
        """None: it has no tokenizer."""
        return None

    async def generate(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Events of a made-up answer."""
        if field := unsupported_field(request):
            raise invalid(f"The engine 'confabulating' does not support '{field}'.", field)
        async for event in stream_words(_claims(parse_message(request.last_user_text).text), request, self._delay):
            yield event


def _claims(question: str) -> str:
    words = " ".join(sorted(set(re.findall(r"\w+", question.lower()))))
    chance = random.Random(hashlib.sha256(words.encode()).digest())  # noqa: S311 - repeatable on purpose
    chosen = chance.sample(_CLAIMS, SENTENCES)
    return " ".join(
        claim.format(year=chance.randint(1780, 1990), few=chance.randint(3, 9), many=chance.randint(30, 400))
        for claim in chosen
    )
