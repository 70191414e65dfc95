"""Answers by quoting: ranks two-sentence windows of the context by similarity to the question.

Honest about what it is: it writes nothing of its own, cites each quotation, and abstains when nothing is close.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from services.common.embedding import Embedder
from services.common.text import split_sentences
from services.llm.engines import Piece
from services.llm.engines.typing_out import last_user_message, type_out
from services.llm.prompt_contract import Prompt, parse_prompt
from services.llm.schemas import ChatRequest

ABSTAIN_BELOW = 0.30
"""Cosine below which nothing in the context answers the question: chosen on 16 questions over 7 documents."""
QUOTATIONS = 3
KEEP_WITHIN = 0.75
"""A further quotation must be at least this share as close to the question as the best one."""
NO_CONTEXT = "I am a quoting engine: without retrieved documents there is nothing for me to quote."
NO_ANSWER = "The retrieved documents do not answer this question."


@dataclass(frozen=True)
class Window:
    """Two neighbouring sentences of one document."""

    document: str
    position: int
    text: str


class ExtractiveEngine:
    """Engine `extractive`."""

    def __init__(self, embedder: Embedder, delay_ms: float) -> None:
        self._embedder = embedder
        self._delay_ms = delay_ms
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="extractive")

    async def generate(self, request: ChatRequest) -> AsyncIterator[Piece]:
        prompt = parse_prompt(last_user_message(request))
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(self._pool, self.answer, prompt)
        async for piece in type_out(answer, request, self._delay_ms):
            yield piece

    async def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def answer(self, prompt: Prompt) -> str:
        """Quotations that answer the prompt's question, each followed by the number of its document."""
        if not prompt.documents:
            return NO_CONTEXT
        windows = list(_windows(prompt))
        if not windows:
            return NO_ANSWER
        vectors = self._embedder.embed([prompt.question, *(window.text for window in windows)])
        scores = vectors[1:] @ vectors[0]
        ranked = sorted(zip(windows, scores.tolist(), strict=True), key=lambda pair: -pair[1])
        if ranked[0][1] < ABSTAIN_BELOW:
            return NO_ANSWER
        floor = max(ABSTAIN_BELOW, KEEP_WITHIN * ranked[0][1])
        chosen: list[Window] = []
        for window, score in ranked:
            if len(chosen) == QUOTATIONS or score < floor:
                break
            if not any(_overlap(window, other) for other in chosen):
                chosen.append(window)
        return " ".join(f"{window.text} [{window.document}]" for window in chosen)


def _windows(prompt: Prompt) -> list[Window]:
    windows: list[Window] = []
    for document in prompt.documents:
        sentences = [s for s in split_sentences(document.text) if not s.startswith("#")]
        pairs = zip(sentences, [*sentences[1:], ""], strict=True)
        texts = [f"{first} {second}".strip() for first, second in pairs]
        # The last sentence alone is part of the window before it.
        kept = texts[:-1] or texts
        windows += [Window(document.id, position, text) for position, text in enumerate(kept)]
    return windows


def _overlap(one: Window, other: Window) -> bool:
    return one.text == other.text or (one.document == other.document and abs(one.position - other.position) < 2)
