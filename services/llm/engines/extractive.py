"""Engine `extractive`: answers by quoting the sentences of the context that are nearest to the question."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from services.common.embedding import Embedder, Vectors
from services.common.text import split_sentences
from services.llm.engines.base import Event
from services.llm.engines.context import Document, Question, parse_message
from services.llm.engines.words import stream_words, unsupported_field
from services.llm.errors import invalid
from services.llm.schemas import ChatRequest, Message

WINDOW_SENTENCES = 2
# Measured on 16 questions over 7 documents: below this the nearest window did not hold the answer.
ABSTAIN_BELOW = 0.30
# A further quotation must be nearly as near as the best one.
FURTHER_SHARE = 0.85
MAX_QUOTATIONS = 3
# About 10 ms each on one core: bounds the time to the first token at roughly a second.
MAX_WINDOWS = 96
CACHED_WINDOWS = 4096  # 1.5 KiB each

ABSTAIN = "The context does not answer this question."
NO_CONTEXT = (
    "This engine only quotes from documents in its prompt, and this prompt has none, so it cannot answer the question."
)
_WORD = re.compile(r"\w{3,}")


@dataclass(frozen=True)
class _Window:
    document: Document
    first: int
    text: str


class ExtractiveEngine:
    """Answers with quotations from the context only, and says so when nothing in it fits."""

    def __init__(self, model_dir: Path, delay_seconds: float) -> None:
        """Keep the settings; the model is read by `load`."""
        self._model_dir = model_dir
        self._delay = delay_seconds
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="extractive")
        self._embedder: Embedder | None = None
        self._tokenizer: Tokenizer | None = None
        self._cache: OrderedDict[str, Vectors] = OrderedDict()

    async def load(self) -> None:
        """Load the embedding model.

        Raises:
            EmbeddingModelError: its directory cannot be used.
        """
        self._embedder = await asyncio.get_running_loop().run_in_executor(self._executor, Embedder, self._model_dir)
        # The embedder's own cuts long texts, and its counts would end there.
        self._tokenizer = Tokenizer.from_file(str(self._model_dir / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    async def close(self) -> None:
        """Stop the worker thread."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def tokens(self, text: str | Sequence[Message]) -> list[int] | None:
        """Tokens of the embedding model; each message is `[CLS] role content [SEP]`."""
        if self._tokenizer is None:
            return None
        if isinstance(text, str):
            return self._ids(text)
        told = "".join(f"[CLS] {message.role} {message.text} [SEP]" for message in text)
        return self._ids(f"{told}[CLS] assistant")

    def _ids(self, text: str) -> list[int]:
        assert self._tokenizer is not None  # noqa: S101 - for the type checker, tokens() has looked
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    async def generate(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Events of an answer that consists of quotations with their document numbers."""
        if field := unsupported_field(request):
            raise invalid(f"The engine 'extractive' does not support '{field}'.", field)
        question = parse_message(request.last_user_text)
        if not question.text:
            raise invalid("The last user message holds no question.", "messages")
        answer = await asyncio.get_running_loop().run_in_executor(self._executor, self._answer, question)
        counted = self.tokens(request.messages)
        async for event in stream_words(answer, request, self._delay, len(counted) if counted else None):
            yield event

    def _answer(self, question: Question) -> str:
        if question.documents is None:
            return NO_CONTEXT
        windows = _windows(question)
        if not windows:
            return ABSTAIN
        vectors = self._embed([question.text, *(window.text for window in windows)])
        scores = vectors[1:] @ vectors[0]
        best = float(scores.max())
        if best < ABSTAIN_BELOW:
            return ABSTAIN
        chosen: list[_Window] = []
        for index in np.argsort(-scores, kind="stable"):
            window = windows[index]
            if scores[index] < max(ABSTAIN_BELOW, FURTHER_SHARE * best) or len(chosen) == MAX_QUOTATIONS:
                break
            if not any(_overlap(window, other) for other in chosen):
                chosen.append(window)
        return " ".join(f"{window.text} [{window.document.id}]" for window in chosen)

    def _embed(self, texts: Sequence[str]) -> Vectors:
        # Runs on the single worker thread only, so that the cache needs no lock.
        if self._embedder is None:
            raise RuntimeError("generate() was called before load()")
        fresh = list(dict.fromkeys(text for text in texts if text not in self._cache))
        for text, vector in zip(fresh, self._embedder.embed(fresh), strict=True):
            self._cache[text] = vector
        for text in texts:
            self._cache.move_to_end(text)
        vectors = np.stack([self._cache[text] for text in texts])
        while len(self._cache) > CACHED_WINDOWS:
            self._cache.popitem(last=False)
        return vectors


def _windows(question: Question) -> list[_Window]:
    """Neighbouring sentences of each document; past MAX_WINDOWS the ones that share most words with the question."""
    windows: list[_Window] = []
    for document in question.documents or []:
        sentences = [sentence for sentence in split_sentences(document.text) if _quotable(sentence)]
        last = max(len(sentences) - WINDOW_SENTENCES, 0)
        windows += [
            _Window(document, first, " ".join(sentences[first : first + WINDOW_SENTENCES]))
            for first in range(last + 1 if sentences else 0)
        ]
    if len(windows) > MAX_WINDOWS:
        asked = set(_WORD.findall(question.text.lower()))
        windows.sort(key=lambda window: -len(asked & set(_WORD.findall(window.text.lower()))))
    return windows[:MAX_WINDOWS]


def _quotable(sentence: str) -> bool:
    # Headings and fragments read as if they were cut off; code blocks would flood the answer.
    return sentence.rstrip("\"'`)]*_").endswith((".", "!", "?", ":")) and "\n" not in sentence


def _overlap(one: _Window, other: _Window) -> bool:
    same = one.document == other.document and abs(one.first - other.first) < WINDOW_SENTENCES
    return same or one.text == other.text
