"""Token counts of the served model itself, for the budgets that a guess may decide wrongly.

AWS's vLLM container has had the route `/tokenize` since v1.4 (`services/llm/routes.py`). A count is a round trip, so it
is asked for only where the guess is near a budget (`sizes.py`). One question is about a whole prompt, so nothing is
gained by keeping the counts of single documents.

Without a count the guess stands: when the model is not known to be awake (a count would wake it), when the container
has no such route, and when it does not answer at once. No failure here fails an answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson

from services.common.logging import concern_logger
from services.common.sagemaker import InvocationError, ModelFailed, SageMakerChat
from services.rag.errors import PromptTooLong
from services.rag.pipeline.prompt import Prompt
from services.rag.pipeline.tokens import EstimatedTokens, TokenCounter

logger = concern_logger("llm")

ROUTE = "/tokenize"
COUNT_SECONDS = 0.5
AWAKE_SECONDS = 600
"""A model that answered so long ago still has its copy: the first is taken away after 15 minutes without load
(aws-samples/sagemaker-genai-hosting-examples, 03-features/autoscaling/scale_down_to_zero.ipynb)."""
PAUSE_SECONDS, UNKNOWN_SECONDS = 30.0, 3600.0
"""Pauses after a count that failed, and after the answer of a container that has no such route."""
ROUNDS = 3
SAFETY = 0.97
"""Factor on the characters per token that were counted: other documents may have a little less."""


class ModelCounts:
    """Asks the model's container for counts; safe for concurrent use on one event loop."""

    def __init__(self, chat: SageMakerChat | None) -> None:
        """None for a container that has no such route: then nothing is asked."""
        self._chat = chat
        self._paused_until = 0.0

    async def text(self, text: str) -> int | None:
        """Tokens of a text; None when the guess has to do."""
        return await self._ask({"prompt": text, "add_special_tokens": False}) if text else 0

    async def messages(self, messages: list[dict[str, str]]) -> int | None:
        """Tokens of chat messages as the model gets them, its template's included; None when the guess has to do."""
        return await self._ask({"messages": messages})

    async def prompt(self, prompt: Prompt) -> Prompt | None:
        """The prompt with its counts, in the time of one round trip; None when the guess has to do."""
        total, context = await asyncio.gather(self.messages(prompt.messages), self.text(prompt.context))
        if total is None or context is None:
            return None
        return replace(prompt, sizes=replace(prompt.sizes, counted=total, counted_context=context))

    async def _ask(self, body: dict[str, Any]) -> int | None:
        chat = self._chat
        if chat is None or time.monotonic() < self._paused_until or not chat.answered_within(AWAKE_SECONDS):
            return None
        try:
            # A container that does not know the route answers the question: with as little work as possible.
            answer = await chat.invoke(orjson.dumps({**body, "max_tokens": 1}), COUNT_SECONDS, ROUTE)
            return int(orjson.loads(answer)["count"])
        except InvocationError as error:
            refused = isinstance(error, ModelFailed) and 400 <= (error.status or 0) < 500
            self._pause(UNKNOWN_SECONDS if refused else PAUSE_SECONDS, str(error))
        except (ValueError, KeyError, TypeError):
            self._pause(UNKNOWN_SECONDS, f"The container has no {ROUTE}.")
        return None

    def _pause(self, seconds: float, reason: str) -> None:
        self._paused_until = time.monotonic() + seconds
        logger.warning("token counts are estimated for a while", extra={"reason": reason, "seconds": seconds})


async def fitted(
    build: Callable[[TokenCounter | None], Prompt], bare: list[dict[str, str]], counts: ModelCounts
) -> Prompt:
    """A prompt within its budgets: built by a guess, counted where that is near a budget, and built again when wrong.

    Args:
        build: builds the prompt with a counter; None means the usual guess.
        bare: the messages that are always in it.
        counts: of the model.

    Raises:
        PromptTooLong: the instructions and the question alone do not fit.
    """
    try:
        prompt = build(None)
    except PromptTooLong:
        if not (counted_bare := await counts.messages(bare)):
            raise
        prompt = build(EstimatedTokens(sum(len(message["content"]) for message in bare) / counted_bare))
    if not prompt.sizes.doubtful:
        return prompt
    for _ in range(ROUNDS):
        counted = await counts.prompt(prompt)
        if counted is None:
            return prompt
        if counted.sizes.right:
            return counted
        try:
            prompt = build(EstimatedTokens(SAFETY * counted.sizes.chars_per_token))
        except PromptTooLong:
            return counted  # by the texts' ratio, which is not that of the instructions: these fitted
    return prompt
