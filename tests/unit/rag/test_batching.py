from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from services.rag.embeddings.batching import MAX_TEXTS
from services.rag.embeddings.pool import CpuPool
from services.rag.stores.documents import Vector


class Lengths:
    """Embeds a text by its length, and notes what came together; waits when told to."""

    model_id = "tests/lengths"
    dimension = 1

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.open = threading.Event()
        self.open.set()
        self.begun = threading.Event()

    def embed(self, texts: Sequence[str]) -> Vector:
        self.batches.append(list(texts))
        self.begun.set()
        assert self.open.wait(30)
        if "bad" in texts:
            raise ValueError("bad text")
        return np.asarray([[len(text)] for text in texts], dtype=np.float32)


@pytest.fixture
def model() -> Lengths:
    return Lengths()


async def test_what_is_asked_for_at_once_is_embedded_together_and_handed_out_apart(model: Lengths) -> None:
    pool = CpuPool(model, 1)
    one, two = await asyncio.gather(pool.embed(["a"]), pool.embed(["bb", "ccc"]))
    assert model.batches == [["a", "bb", "ccc"]]
    assert (one.tolist(), two.tolist()) == ([[1.0]], [[2.0], [3.0]])
    pool.close()


async def test_what_comes_while_the_model_works_waits_for_the_next_batch(model: Lengths) -> None:
    pool = CpuPool(model, 1)
    model.open.clear()
    first = asyncio.create_task(pool.embed(["a"]))
    assert await asyncio.to_thread(model.begun.wait, 10)
    later = [asyncio.create_task(pool.embed(["x" * n])) for n in range(1, MAX_TEXTS + 3)]
    gone = asyncio.create_task(pool.embed(["its caller has gone"]))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    model.open.set()
    await first
    assert [row.tolist() for row in await asyncio.gather(*later)] == [[[float(n)]] for n in range(1, MAX_TEXTS + 3)]
    assert [len(batch) for batch in model.batches] == [1, MAX_TEXTS, 2]
    pool.close()


async def test_a_failure_reaches_every_caller_of_the_batch_and_no_other(model: Lengths) -> None:
    pool = CpuPool(model, 1)
    together = await asyncio.gather(pool.embed(["bad"]), pool.embed(["good"]), return_exceptions=True)
    assert [type(found) for found in together] == [ValueError, ValueError]
    assert (await pool.embed(["fine"])).tolist() == [[4.0]]
    pool.close()


async def test_a_list_longer_than_a_batch_stays_together(model: Lengths) -> None:
    pool = CpuPool(model, 1)
    rows = await pool.embed(["x"] * (MAX_TEXTS + 5))
    assert rows.shape == (MAX_TEXTS + 5, 1)
    assert len(model.batches) == 1
    pool.close()
