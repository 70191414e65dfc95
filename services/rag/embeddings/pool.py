"""Runs the embedding model on its own bounded threads, so that CPU work never blocks the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

from services.common.embedding import Vectors
from services.rag.embeddings.batching import Batching
from services.rag.errors import Overloaded

T = TypeVar("T")

# Waiting work per thread. A query takes about 5 ms, so the last in line waits about a second; more would only be late.
MAX_WAITING_PER_THREAD = 200


class EmbeddingModel(Protocol):
    """The part of `services.common.embedding.Embedder` that this service uses."""

    model_id: str
    dimension: int

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embeddings of shape (n, dimension), each of length 1."""
        ...


class CpuPool:
    """Embedding and other short CPU work of a request."""

    def __init__(self, model: EmbeddingModel, threads: int) -> None:
        self._model = model
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="embedding")
        self._most = threads * MAX_WAITING_PER_THREAD
        self._waiting = 0
        self._batching = Batching(self._embed, threads)

    @property
    def model_id(self) -> str:
        """Identity of the model, as collections record it."""
        return self._model.model_id

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._model.dimension

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Embeddings of shape (n, dimension), each of length 1.

        Raises:
            Overloaded: too much work is waiting.
        """
        with self._slot():
            return await self._batching.embed(texts)

    async def run(self, function: Callable[..., T], *args: object) -> T:
        """Run a function on the pool.

        Raises:
            Overloaded: too much work is waiting.
        """
        with self._slot():
            return await asyncio.get_running_loop().run_in_executor(self._executor, function, *args)

    async def _embed(self, texts: list[str]) -> Vectors:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._model.embed, texts)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if self._waiting >= self._most:
            raise Overloaded("The service has more requests than it can serve in time.")
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Drop waiting work and end the threads."""
        self._executor.shutdown(wait=False, cancel_futures=True)
