"""Batches texts that are to be embedded at the same time.

A batch of two short texts takes little longer than one of them alone, so a question and its variants, and the questions
of several callers under load, share one run of the model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from services.common.embedding import Vectors

# Longer batches would let the first in line wait for the work of the last.
MAX_TEXTS = 16


@dataclass
class _Request:
    texts: Sequence[str]
    answer: asyncio.Future[Vectors] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Batching:
    """Joins calls of `embed`; for one event loop."""

    def __init__(self, run: Callable[[list[str]], Awaitable[Vectors]], concurrency: int) -> None:
        """Keep the parts.

        Args:
            run: embeds a list; rows of shape (n, dimension).
            concurrency: batches at the same time.
        """
        self._run = run
        self._free = concurrency
        self._asked: list[_Request] = []
        self._running: set[asyncio.Task[None]] = set()

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Embeddings of shape (n, dimension); raises what `run` raises."""
        asked = _Request(texts)
        self._asked.append(asked)
        # After this turn of the loop, so that requests of the same turn share a batch.
        asyncio.get_running_loop().call_soon(self._start)
        return await asked.answer

    def _start(self) -> None:
        while self._free and (batch := self._take()):
            self._free -= 1
            task = asyncio.create_task(self._work(batch))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _take(self) -> list[_Request]:
        """The next batch, without requests whose caller has gone."""
        self._asked = [asked for asked in self._asked if not asked.answer.done()]
        batch: list[_Request] = []
        count = 0
        for asked in self._asked:
            count += len(asked.texts)
            if batch and count > MAX_TEXTS:
                break
            batch.append(asked)
        del self._asked[: len(batch)]
        return batch

    async def _work(self, batch: Sequence[_Request]) -> None:
        try:
            rows = await self._run([text for asked in batch for text in asked.texts])
        except Exception as error:  # noqa: BLE001 - each caller gets it
            for asked in batch:
                if not asked.answer.done():
                    asked.answer.set_exception(error)
        else:
            first = 0
            for asked in batch:
                last = first + len(asked.texts)
                if not asked.answer.done():
                    asked.answer.set_result(rows[first:last])
                first = last
        finally:
            self._free += 1
            self._start()
