"""For how long the model's container is not asked for counts after an answer that was none."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from services.common.sagemaker import EndpointUpdating, ModelFailed, SageMakerChat, Throttled
from services.rag.pipeline import counts
from services.rag.pipeline.counts import ModelCounts


class Chat:
    """An endpoint that gives one answer, or raises it, whenever it is asked."""

    def __init__(self, answer: bytes | Exception) -> None:
        self.answer = answer
        self.asked = 0

    def answered_within(self, seconds: float) -> bool:
        return True

    async def invoke(self, body: bytes, timeout_seconds: float, route: str) -> bytes:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (ModelFailed("no such route", 404), 3600),
        (b'{"choices": []}', 3600),
        (b"[]", 3600),
        (b"not JSON", 3600),
        (ModelFailed("it crashed", 500), 30),
        (ModelFailed("it crashed"), 30),
        (Throttled("busy"), 30),
        (EndpointUpdating("changes"), 30),
    ],
)
def test_what_gave_no_count_is_left_alone_for_a_while(
    monkeypatch: pytest.MonkeyPatch, answer: Any, seconds: float
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(counts.time, "monotonic", lambda: clock[0])
    chat = Chat(answer)
    counted = ModelCounts(cast(SageMakerChat, chat))

    def ask() -> int | None:
        return asyncio.run(counted.text("text"))

    assert (ask(), ask(), chat.asked) == (None, None, 1)
    clock[0] += seconds - 1
    assert (ask(), chat.asked) == (None, 1)
    clock[0] += 2
    chat.answer = b'{"count": 3}'
    assert (ask(), chat.asked) == (3, 2)
