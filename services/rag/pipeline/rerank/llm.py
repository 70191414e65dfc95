"""Re-ranking by a language model that sees all passages at once (listwise)."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from services.rag.pipeline.rerank.scorer import RerankFailed
from services.rag.prompts.structured import StructuredAnswerFailed, StructuredChat, read_prompt

PROMPT = "rerank_passages.v1"
MAX_PASSAGES = 10
MAX_PASSAGE_CHARS = 800
MAX_ANSWER_TOKENS = 100


class PassageOrder(BaseModel):
    """The model's answer: numbers of passages, best first."""

    model_config = ConfigDict(extra="forbid")

    ranking: list[int]


class LlmScorer:
    """Asks a model for an order; a score is the reciprocal of the place in it, and 0 for what it left out."""

    max_candidates = MAX_PASSAGES

    def __init__(self, chat: StructuredChat, model: str) -> None:
        self.reranker_id = f"llm:{model}:{PROMPT}"
        self._chat = chat
        self._prompt = read_prompt(PROMPT)

    async def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """One score per text; numbers that name no passage, or name one again, are ignored.

        Raises:
            RerankFailed: the model failed, took too long, answered with something else, or named no passage.
        """
        passages = [{"number": number, "text": text[:MAX_PASSAGE_CHARS]} for number, text in enumerate(texts)]
        try:
            answer = await self._chat.ask(
                self._prompt, {"question": query, "passages": passages}, PassageOrder, MAX_ANSWER_TOKENS
            )
        except StructuredAnswerFailed as error:
            raise RerankFailed(str(error)) from None
        order = [number for number in dict.fromkeys(answer.ranking) if 0 <= number < len(texts)]
        if not order:
            raise RerankFailed("The model named none of the passages.")
        scores = [0.0] * len(texts)
        for place, number in enumerate(order, 1):
            scores[number] = 1 / place
        return scores
