"""What callers think of an answer, at the real collector."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from services.common.opik_api import FEEDBACK_TIMEOUT_SECONDS
from tests.asgi_server import serving
from tests.integration.rag.conftest import World, another, eventually
from tests.integration.rag.test_answers import QUESTION


@pytest.fixture(scope="module")
def service(running: World, collector: str) -> Iterator[World]:
    with serving(another(running, opik_url_override=collector), running.environment) as url:
        found = running.at(url)
        with found.client() as client:
            eventually(lambda: client.get("/readyz").json()["dependencies"]["opik"]["state"] == "ok")
        yield found


def scores(collector: str, trace_id: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{collector}/v1/private/traces/{trace_id}", trust_env=False, timeout=10)
    return answer.json().get("feedback_scores") or [] if answer.status_code == 200 else []


@pytest.mark.parametrize("interface", ["/rag", "/v1/chat/completions"])
def test_a_score_is_on_the_trace_and_a_second_one_replaces_it(
    world: World, service: World, collector: str, interface: str
) -> None:
    body = {"query": QUESTION, "messages": [{"role": "user", "content": QUESTION}]}
    ask = {"query": body["query"]} if interface == "/rag" else {"messages": body["messages"]}
    with service.client() as client:
        trace_id = client.post(interface, json=ask).json()["trace_id"]
        # At once, while the trace may still be on its way.
        first = client.post("/feedback", json={"trace_id": trace_id, "score": 0, "reason": "No citation."})
        assert (first.status_code, first.content) == (204, b"")
        (score,) = eventually(lambda: scores(collector, trace_id))
        assert (score["name"], score["value"], score["reason"]) == ("user_feedback", 0, "No citation.")
        assert client.post("/feedback", json={"trace_id": trace_id, "score": 1.0}).status_code == 204
        eventually(lambda: [found["value"] for found in scores(collector, trace_id)] == [1])


def test_feedback_for_an_answer_that_does_not_exist_is_404(world: World, service: World, collector: str) -> None:
    unknown = str(uuid.uuid4())
    with service.client() as client:
        answer = client.post("/feedback", json={"trace_id": unknown, "score": 1})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "trace_not_found")
    assert unknown in answer.json()["error"]["message"]
    assert scores(collector, unknown) == []


def test_while_monitoring_is_down_feedback_is_503_and_answers_go_on(world: World) -> None:
    with world.client() as client:
        world.opik.down = True
        asked = time.monotonic()
        answer = client.post("/feedback", json={"trace_id": str(uuid.uuid4()), "score": 1})
        assert time.monotonic() - asked < 2 * FEEDBACK_TIMEOUT_SECONDS
        assert client.post("/rag", json={"query": QUESTION}).status_code == 200
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "monitoring_unavailable")
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"score": 2}, "score"),
        ({"score": -0.1}, "score"),
        ({"score": True}, "score"),
        ({"score": "1"}, "score"),
        ({"trace_id": "last"}, "trace_id"),
        ({"reason": "x" * 2001}, "reason"),
        ({"stars": 5}, "stars"),
    ],
)
def test_feedback_that_is_none_is_refused(world: World, change: dict[str, Any], names: str) -> None:
    with world.client() as client:
        answer = client.post("/feedback", json={"trace_id": str(uuid.uuid4()), "score": 1, **change})
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, names)
    assert not world.opik.scores


def test_a_disliked_answer_goes_to_the_evaluation_though_it_was_not_sampled(
    running: World, world: World, collector: str
) -> None:
    def ask(client: httpx.Client) -> str:
        return str(client.post("/rag", json={"query": QUESTION}).json()["trace_id"])

    def sampled(trace_id: str) -> list[dict[str, Any]]:
        return [sample for sample in world.cloud.samples if sample["trace_id"] == trace_id]

    application = another(running, opik_url_override=collector, sample_rate=0.0)
    with serving(application, running.environment) as url, running.at(url).client() as client:
        good, bad = ask(client), ask(client)
        for trace_id, score in ((good, 0.9), (bad, 0.0)):
            assert client.post("/feedback", json={"trace_id": trace_id, "score": score}).status_code == 204
        (sample,) = eventually(lambda: sampled(bad), 30)
        assert sampled(good) == []
    assert (sample["query"], sample["metadata"]["flagged"]) == (QUESTION, "thumbs-down")
    assert sample["answer"]
    assert sample["context"]
