"""Invocations led to other paths by their custom attributes, and the tokens that `/tokenize` counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from services.llm.app import create_app
from services.llm.engines.confabulating import ConfabulatingEngine
from services.llm.engines.extractive import ExtractiveEngine
from tests.unit.llm.conftest import wait_until_loaded

ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
MESSAGES = [{"role": "system", "content": "Answer."}, {"role": "user", "content": "Görüşmelerimizi ölçüyoruz."}]


def invoke(url: str, attributes: str, body: Any) -> httpx.Response:
    return httpx.post(f"{url}/invocations", json=body, headers={ATTRIBUTES: attributes}, timeout=20)


@pytest.mark.parametrize("attributes", ["route=/tokenize", "trace=7, route=/tokenize ,more=1", "x route=/tokenize"])
def test_the_attribute_leads_an_invocation_to_another_route(extractive: str, attributes: str) -> None:
    response = invoke(extractive, attributes, {"messages": MESSAGES})
    assert response.status_code == 200, response.text
    found = response.json()
    assert found["count"] == len(found["tokens"]) > 15
    assert found["max_model_len"] == 8192


@pytest.mark.parametrize("attributes", ["", "route=tokenize", "adapter=a"])
def test_other_attributes_change_nothing(extractive: str, attributes: str) -> None:
    assert "choices" in invoke(extractive, attributes, {"messages": MESSAGES}).json()


def test_a_route_that_is_not_there_is_404(extractive: str) -> None:
    response = invoke(extractive, "route=/v1/nowhere", {"messages": MESSAGES})
    assert (response.status_code, response.json()["error"]["code"]) == (404, 404)


def test_a_count_of_messages_is_what_an_answer_reports(extractive: str) -> None:
    counted = invoke(extractive, "route=/tokenize", {"messages": MESSAGES}).json()["count"]
    answered = invoke(extractive, "route=/v1/chat/completions", {"messages": MESSAGES}).json()
    assert answered["usage"]["prompt_tokens"] == counted
    text = invoke(extractive, "route=/tokenize", {"prompt": MESSAGES[1]["content"]}).json()["count"]
    assert 8 < text < counted


def test_long_texts_are_counted_to_their_end(extractive: str) -> None:
    assert invoke(extractive, "route=/tokenize", {"prompt": "word " * 3000}).json()["count"] == 3000


@pytest.mark.parametrize("body", [[], {}, {"messages": []}, {"prompt": "a", "messages": MESSAGES}])
def test_a_body_that_cannot_be_counted_is_400(extractive: str, body: Any) -> None:
    assert invoke(extractive, "route=/tokenize", body).status_code == 400


def test_an_engine_without_a_tokenizer_has_no_such_route(serving: Any) -> None:
    with serving(ConfabulatingEngine(0)) as url:
        assert invoke(url, "route=/tokenize", {"messages": MESSAGES}).status_code == 404


def test_lmi_answers_the_question_whatever_the_attribute_says(model_dir: Path, serving_app: Any) -> None:
    app = create_app(ExtractiveEngine(model_dir, 0), "m", routes=False)
    with serving_app(app) as url:
        wait_until_loaded(url)
        assert "choices" in invoke(url, "route=/tokenize", {"messages": MESSAGES}).json()


def test_a_prompt_above_the_window_is_refused_before_it_is_answered(model_dir: Path, serving_app: Any) -> None:
    app = create_app(ExtractiveEngine(model_dir, 0), "m", max_model_len=60)
    with serving_app(app) as url:
        wait_until_loaded(url)
        fits = invoke(url, "", {"messages": MESSAGES, "max_tokens": 10})
        for body in ({"messages": MESSAGES, "max_tokens": 50}, {"messages": [*MESSAGES, *MESSAGES, *MESSAGES]}):
            refused = invoke(url, "", body)
            assert refused.status_code == 400 and "window is 60 tokens" in refused.json()["error"]["message"]
    assert fits.status_code == 200
