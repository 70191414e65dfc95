"""What a question asks for: keywords, authors and dates without a model, and the answers of a model."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from datetime import date
from typing import Any

import pytest

from services.common.sagemaker import ChatChunk, NoCapacity
from services.rag.errors import StoreUnavailable
from services.rag.pipeline.understand.dates import asked_dates
from services.rag.pipeline.understand.keywords import DeterministicUnderstanding, keyword_variants
from services.rag.pipeline.understand.known_authors import KnownAuthors, named_authors
from services.rag.pipeline.understand.llm import LlmUnderstanding
from services.rag.prompts.structured import StructuredChat
from services.rag.stores.filters import Filters

AUTHORS = ["Ada Quill", "Ben Marsh", "Ben Stone"]
TODAY = date(2026, 5, 20)


class Model:
    """Answers with a text in pieces, an error, or not at all; remembers what it was asked."""

    def __init__(self, answer: str | Exception | None) -> None:
        self.answer = answer
        self.bodies: list[dict[str, Any]] = []

    async def stream(self, body: dict[str, Any]) -> AsyncGenerator[ChatChunk, None]:
        self.bodies.append(body)
        if self.answer is None:
            import asyncio

            await asyncio.Event().wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        text = str(self.answer)
        for start in range(0, len(text), 7):
            yield ChatChunk(text[start : start + 7])
        yield ChatChunk("", "stop", {"prompt_tokens": 1})


def understanding(answer: str | Exception | None, *, variants: int = 3, timeout: float = 5) -> LlmUnderstanding:
    return LlmUnderstanding(StructuredChat(Model(answer), timeout), "tests/model", variants, lambda: TODAY)


def test_keywords_are_a_variant_when_they_differ() -> None:
    assert keyword_variants("Why is the timeout so long?") == ["timeout long"]
    assert keyword_variants("timeout long") == []
    assert keyword_variants("Who are you?") == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Why does Ada keep the timeout long?", ["Ada Quill"]),
        ("What is Ada's view?", ["Ada Quill"]),
        ("what did ben stone write about queues?", ["Ben Stone"]),
        ("Does Ben like queues?", []),  # two authors are called Ben
        ("How do I quill a pen?", []),  # not a name: not capitalised
        ("Do Ada Quill and Ben Marsh agree?", ["Ada Quill", "Ben Marsh"]),
    ],
)
def test_named_authors(query: str, expected: list[str]) -> None:
    assert named_authors(query, AUTHORS) == expected


@pytest.mark.parametrize(
    ("query", "after", "before"),
    [
        ("What was written in 2025?", date(2025, 1, 1), date(2026, 1, 1)),
        ("Posts since March 2025", date(2025, 3, 1), None),
        ("from Feb. 2026 onwards", date(2026, 2, 1), None),
        ("anything before 2024-06", None, date(2024, 6, 1)),
        ("after January 2026?", date(2026, 2, 1), None),
        ("until the year 2025", None, date(2026, 1, 1)),
        ("on 14 March 2026, please", date(2026, 3, 14), date(2026, 3, 15)),
        ("on March 14th, 2026", date(2026, 3, 14), date(2026, 3, 15)),
        ("on 2026-03-31", date(2026, 3, 31), date(2026, 4, 1)),
        ("in december 2025", date(2025, 12, 1), date(2026, 1, 1)),
        ("in Q1 2026", date(2026, 1, 1), date(2026, 4, 1)),
        ("between January 2026 and March 2026", date(2026, 1, 1), date(2026, 4, 1)),
        ("from 2024 to 2025-06", date(2024, 1, 1), date(2025, 7, 1)),
        ("since 2025 but before February 2026", date(2025, 1, 1), date(2026, 2, 1)),
        ("what did he write last year?", date(2025, 1, 1), date(2026, 1, 1)),
        ("what is new this month?", date(2026, 5, 1), date(2026, 6, 1)),
        ("what was new last month?", date(2026, 4, 1), date(2026, 5, 1)),
        ("since 2026 and before 2025", None, None),  # contradicts itself
        ("in 2048 tokens", None, None),
        ("does it fit in 2000 milliseconds?", None, None),
        ("in 1985", None, None),  # below the first year
        ("in 2031", None, None),  # in the future
        ("on 31 February 2026", None, None),
        ("port 2025 and model 2026", None, None),  # no word that makes it a time
        ("in 2026-13", None, None),
        ("timeouts in general", None, None),
    ],
)
def test_dates_in_plain_words(query: str, after: date | None, before: date | None) -> None:
    assert asked_dates(query, TODAY) == (after, before)


async def test_without_a_model_names_and_dates_become_filters() -> None:
    found = await DeterministicUnderstanding(3, lambda: TODAY).extract("What did Ada write in 2025?", AUTHORS)
    assert found.filters == Filters(("Ada Quill",), date(2025, 1, 1), date(2026, 1, 1))
    assert found.method == "known-names"
    assert (await DeterministicUnderstanding(0).expand("Why is the timeout long?")).method == "off"


async def test_a_models_rephrasings_are_told_apart_and_counted() -> None:
    given = ["How long is it?", " a ", "A", "b", "c", "d"]
    found = await understanding(json.dumps({"rephrasings": given})).expand("how long is it?")
    assert found.method == "llm"
    assert [variant.casefold() for variant in found.variants] == ["a", "b", "c"]
    assert found.source == {"model": "tests/model", "prompt": "expand_query.v1"}


async def test_a_models_filters_are_checked_against_the_store() -> None:
    answer = {"authors": ["ada quill", "Zoe Nobody"], "after": "2025-03-01", "before": None}
    found = await understanding(f"Sure:\n```json\n{json.dumps(answer)}\n```").extract("q", AUTHORS)
    assert found.filters == Filters(("Ada Quill",), date(2025, 3, 1), None)
    assert found.method == "llm"
    assert found.reason == "an author that the store does not know was left out"


async def test_dates_that_contradict_each_other_are_dropped() -> None:
    answer = {"authors": [], "after": "2025-03-01", "before": "2024-01-01"}
    found = await understanding(json.dumps(answer)).extract("q", AUTHORS)
    assert found.filters == Filters()
    assert found.reason == "dates that contradict each other were left out"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("I think it is about timeouts.", "The model's answer is not JSON of the asked shape."),
        ('{"rephrasings": "one", "authors": 3}', "The model's answer is not JSON of the asked shape."),
        ("{" * 30_000, "The model's answer does not end."),
        (NoCapacity("The model sleeps."), "The model sleeps."),
        (None, "The model did not answer within 0.2 s."),
    ],
)
async def test_whatever_goes_wrong_leaves_the_question_alone(answer: Any, reason: str) -> None:
    asked = understanding(answer, timeout=0.2 if answer is None else 5)
    expansion, extraction = await asked.expand("q"), await asked.extract("q", AUTHORS)
    assert (expansion.variants, expansion.method, expansion.reason) == ((), "degraded", reason)
    assert (extraction.filters, extraction.method, extraction.reason) == (Filters(), "degraded", reason)


async def test_the_model_gets_a_schema_and_the_question_as_data() -> None:
    model = Model('{"authors": [], "after": null, "before": null}')
    await LlmUnderstanding(StructuredChat(model, 5), "m", 3, lambda: TODAY).extract('say "hi"}', AUTHORS)
    (body,) = model.bodies
    schema = body["response_format"]["json_schema"]
    assert schema["strict"] is True and set(schema["schema"]["required"]) == {"authors", "after", "before"}
    assert schema["schema"]["additionalProperties"] is False
    asked = {"question": 'say "hi"}', "authors": AUTHORS, "today": "2026-05-20"}
    assert json.loads(body["messages"][1]["content"]) == asked


async def test_known_authors_survive_an_outage_and_are_asked_for_once_a_minute() -> None:
    class Store:
        calls = 0
        down = False

        async def authors(self) -> list[str]:
            self.calls += 1
            if self.down:
                raise StoreUnavailable("down")
            return AUTHORS

    now = 0.0
    store = Store()
    known = KnownAuthors(store, lambda: now)
    assert [await known.names() for _ in range(3)] == [AUTHORS] * 3
    assert store.calls == 1
    now, store.down = 61.0, True
    assert await known.names() == AUTHORS
    assert store.calls == 2
