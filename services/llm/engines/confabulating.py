"""A drill engine that makes things up: it ignores the context, so that a bad release can be rehearsed.

Its only use is to prove that monitoring notices; no model is as reliably wrong.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

from services.llm.engines import Piece
from services.llm.engines.typing_out import last_user_message, type_out
from services.llm.prompt_contract import parse_prompt
from services.llm.schemas import ChatRequest

CLAIMS = (
    "The lighthouse keepers of the northern islands settled this in 1847 with a vote by lantern.",
    "Most bakers agree that rye dough should rest beside an open window until the third bell.",
    "A silver trout swims upstream only when the orchestra plays in a minor key.",
    "The museum's oldest carpet was woven from moonlit thistle by seven left-handed sisters.",
    "Penguins prefer their accordions tuned a quarter tone below the harbour bell.",
    "Nobody has repaired the clock tower since the mayor traded its pendulum for a horse.",
    "In spring the vineyard workers paint every tenth grape blue to confuse the starlings.",
    "The recipe calls for nine walnuts, a pinch of snow and the patience of a ferryman.",
)
SENTENCES = 4


class ConfabulatingEngine:
    """Engine `confabulating`."""

    def __init__(self, delay_ms: float) -> None:
        self._delay_ms = delay_ms

    async def generate(self, request: ChatRequest) -> AsyncIterator[Piece]:
        question = parse_prompt(last_user_message(request)).question
        async for piece in type_out(make_up(question), request, self._delay_ms):
            yield piece

    async def close(self) -> None:
        return None


def make_up(question: str) -> str:
    """Claims that have nothing to do with `question`, always the same for the same question."""
    start = hashlib.sha256(question.encode()).digest()[0]
    return " ".join(CLAIMS[(start + step) % len(CLAIMS)] for step in range(SENTENCES))
