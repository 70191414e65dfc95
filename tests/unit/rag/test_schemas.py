"""What request bodies may hold."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from services.rag.api.protocol.openai_schemas import ChatCompletionRequest
from services.rag.api.protocol.schemas import SAYS_SOMETHING, FeedbackRequest, RagRequest

HALF = "\ud800"
SEPARATORS = ("\x1c", "\x1d", "\x1e", "\x1f", "\x85")
TRACE = "01890000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("model", "body", "where"),
    [
        (RagRequest, {"query": HALF}, ("query",)),
        (RagRequest, {"query": "x", "author": f"a{HALF}"}, ("author",)),
        (RagRequest, {"query": "x", HALF: 1}, ()),
        (FeedbackRequest, {"trace_id": TRACE, "score": 1, "reason": HALF}, ("reason",)),
        (ChatCompletionRequest, {"messages": [{"role": "user", "content": HALF}]}, ("messages", 0, "content")),
        (
            ChatCompletionRequest,
            {"messages": [{"role": "user", "content": [{"type": "text", "text": f"\udfff{HALF}"}]}]},
            ("messages", 0, "content", 0, "text"),
        ),
        (ChatCompletionRequest, {"messages": [], "stop": ["a", HALF]}, ("stop", 1)),
        (ChatCompletionRequest, {"messages": [], "metadata": {"a": {HALF: 1}}}, ("metadata", "a")),
    ],
)
def test_half_a_surrogate_pair_is_refused_wherever_it_stands(
    model: type[BaseModel], body: dict[str, Any], where: tuple[str | int, ...]
) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(body)
    (problem,) = caught.value.errors()
    assert (problem["type"], problem["loc"]) == ("not_unicode", where)


def test_whole_pairs_and_every_other_character_pass() -> None:
    text = json.loads('"\\ud83d\\ude00 \\u0000 \\uffff Grüße"')
    assert RagRequest(query=text).query == text


def test_a_body_that_nests_deeply_is_looked_through() -> None:
    deep: Any = HALF
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(ValidationError) as caught:
        ChatCompletionRequest.model_validate({"messages": [], "metadata": deep})
    assert len(caught.value.errors()[0]["loc"]) == 5001


@pytest.mark.parametrize(("given", "tokens"), [(64, 64), (64.0, 64), (None, None)])
def test_a_whole_number_may_be_written_as_a_float(given: float | None, tokens: int | None) -> None:
    assert ChatCompletionRequest.model_validate({"messages": [], "max_tokens": given}).max_tokens == tokens


@pytest.mark.parametrize("given", [64.5, "64", True, 0, -1.0, float("inf"), float("nan")])
def test_anything_else_is_no_number_of_tokens(given: object) -> None:
    with pytest.raises(ValidationError):
        ChatCompletionRequest.model_validate({"messages": [], "max_tokens": given})


UNKNOWN = {f"field{number}": number for number in range(5000)}
WRONG_TURNS: list[Any] = [7] * 20_000
WRONG_PARTS = [{"type": 1}] * 5_000


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (RagRequest, {"query": "x", **UNKNOWN}),
        (RagRequest, UNKNOWN),
        (RagRequest, {"query": "x", "history": WRONG_TURNS}),
        (RagRequest, {"query": "x", "history": WRONG_TURNS[:2000]}),
        (RagRequest, {"query": "x", "history": [{"role": "user", "content": "x", **UNKNOWN}] * 3}),
        (FeedbackRequest, {"trace_id": TRACE, "score": 1, **UNKNOWN}),
        (ChatCompletionRequest, {"messages": WRONG_TURNS}),
        (ChatCompletionRequest, {"messages": [{"role": 7}] * 2000}),
        (ChatCompletionRequest, {"messages": [{"role": "user", "content": WRONG_PARTS}] * 2}),
        (ChatCompletionRequest, {"messages": [{"role": "user", "content": WRONG_PARTS[:2000]}] * 3}),
        (ChatCompletionRequest, {"messages": [], "stop": [7] * 20_000}),
        (ChatCompletionRequest, {"messages": [], "stop": ["x"] * 20_000}),
    ],
)
def test_a_body_has_few_errors_however_much_of_it_is_wrong(model: type[BaseModel], body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(body)
    assert caught.value.error_count() <= 8


def test_a_few_unknown_fields_are_named() -> None:
    with pytest.raises(ValidationError) as caught:
        RagRequest.model_validate({"query": "x", "querry": "x", "model": "y"})
    assert {problem["loc"] for problem in caught.value.errors()} == {("querry",), ("model",)}


def test_a_conversation_may_be_long() -> None:
    turns = [{"role": "user", "content": "x"}] * 2000
    assert len(RagRequest.model_validate({"query": "x", "history": turns}).history) == 2000
    assert len(ChatCompletionRequest.model_validate({"messages": turns}).messages) == 2000


@pytest.mark.parametrize("text", [*SEPARATORS, "".join(SEPARATORS), f" {SEPARATORS[0]}\n"])
def test_a_separator_says_nothing_for_the_service_and_for_its_document(text: str) -> None:
    # ASCII: there \s names none of them, as in ECMA-262.
    assert re.search(SAYS_SOMETHING, text, re.ASCII) is None
    assert re.search(SAYS_SOMETHING, f"{text}x", re.ASCII)
    with pytest.raises(ValidationError, match="must not be empty"):
        RagRequest.model_validate({"query": text})
    assert RagRequest.model_validate({"query": f"{text}x"}).query == "x"
