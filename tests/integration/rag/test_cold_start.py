"""Callers of a model that sleeps: held, told that it is waking, and answered."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest

from tests.integration.rag.conftest import World, eventually
from tests.integration.rag.fakes import ANSWER, KEY
from tests.integration.rag.test_answers import QUESTION, events

ASK = {"query": QUESTION, "stream": True}


@contextlib.contextmanager
def asleep(world: World, seconds: float) -> Iterator[None]:
    """A model that serves again after some seconds."""
    world.cloud.mode = "no_capacity"
    timer = threading.Timer(seconds, setattr, (world.cloud, "mode", "ok"))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def test_a_stream_says_that_the_model_wakes_and_then_answers(world: World) -> None:
    with asleep(world, 2), world.client() as client:
        response = client.post("/rag", json=ASK)
    found = events(response)
    signs = [data["waited_seconds"] for name, data in found if data.get("state") == "waking"]
    assert signs and signs[0] < found[-1][1]["timings"]["ttft_ms"] / 2000
    assert "".join(data["text"] for name, data in found if name == "token") == ANSWER
    assert found[-1][0] == "done" and found[-1][1]["timings"]["ttft_ms"] > 1500
    trace, spans = world.opik.wait_for(response.headers["X-Trace-Id"])
    (call,) = [span for span in spans if span["name"] == "call_llm_service"]
    assert call["metadata"]["held_ms"] > 1500
    assert not trace.get("error_info")


def test_those_who_come_later_wait_without_asking_the_model_again(world: World) -> None:
    with asleep(world, 60), ThreadPoolExecutor(15) as threads, world.client() as client:
        first = threads.submit(client.post, "/rag", json=ASK)
        time.sleep(0.5)
        later = [threads.submit(client.post, "/rag", json=ASK) for _ in range(14)]
        _until_held(client, 15)
        world.cloud.mode = "ok"
        answers = [one.result() for one in (first, *later)]
    assert {events(answer)[-1][0] for answer in answers} == {"done"}
    asked_again = [one for one in world.cloud.invocations if one["path"].endswith("-response-stream")]
    # The refusal that told of the sleep, and each request's own call after it.
    assert len(asked_again) == 1 + 15
    probes = len(world.cloud.invocations) - len(asked_again)
    assert 1 <= probes < 15


def test_a_request_without_a_stream_waits_as_long_as_its_connection_may(world: World) -> None:
    with asleep(world, 0.4), world.client() as client:
        answered = client.post("/rag", json={"query": QUESTION})
    assert answered.status_code == 200, answered.text
    with asleep(world, 30), ThreadPoolExecutor(1) as threads, world.client() as client:
        other = threads.submit(_refusal_of_openai_client, world)
        began = time.monotonic()
        refused = client.post("/rag", json={"query": QUESTION})
        took = time.monotonic() - began
        told = other.result()
    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (503, "llm_no_capacity")
    assert "waking up" in error["message"] and error["message"].endswith(".")
    assert error["request_id"] == refused.headers["X-Request-Id"]
    assert int(refused.headers["Retry-After"]) > 0
    assert 2.9 < took < 15
    assert (told.status_code, told.code, told.type) == (503, "llm_no_capacity", "server_error")
    assert told.request_id and isinstance(told.body, dict) and told.body["request_id"] == told.request_id
    assert int(told.response.headers["retry-after"]) > 0


def test_more_than_may_wait_are_refused_with_a_sentence(world: World) -> None:
    with asleep(world, 60), ThreadPoolExecutor(30) as threads, world.client() as client:
        first = [threads.submit(client.post, "/rag", json=ASK) for _ in range(20)]
        _until_held(client, 20)
        others = [threads.submit(client.post, "/rag", json=ASK) for _ in range(10)]
        refused = [one.result() for one in others]
        world.cloud.mode = "ok"
        answers = [one.result() for one in first]
    assert {events(answer)[-1][0] for answer in answers} == {"done"}
    assert {answer.status_code for answer in refused} == {503}
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
    assert "which is the most" in refused[0].json()["error"]["message"]


def test_readyz_tells_a_model_that_sleeps_from_one_that_fails(world: World) -> None:
    with world.client() as client:
        for mode, status, state, code in (
            ("no_capacity", "asleep", "asleep", 200),
            ("model_error", "not_ready", "down", 503),
            ("ok", "ready", "ok", 200),
        ):
            world.cloud.mode = mode
            eventually(lambda state=state: client.get("/readyz").json()["dependencies"]["llm"]["state"] == state)
            answer = client.get("/readyz")
            assert (answer.status_code, answer.json()["status"]) == (code, status)


def test_readyz_without_the_model_does_not_ask_it(world: World) -> None:
    with asleep(world, 60), world.client() as client:
        answer = client.get("/readyz", params={"wake": "false"})
        assert world.cloud.invocations == []
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    assert set(answer.json()["dependencies"]) == {"qdrant", "samples_queue", "opik"}


def test_the_openai_client_waits_without_noticing(world: World) -> None:
    with asleep(world, 2), openai.OpenAI(base_url=f"{world.url}/v1", api_key=KEY, max_retries=0) as client:
        stream = client.chat.completions.create(
            model="test/model", messages=[{"role": "user", "content": QUESTION}], stream=True
        )
        assert "".join(choice.delta.content or "" for chunk in stream for choice in chunk.choices) == ANSWER


def test_a_caller_who_leaves_while_it_wakes_is_not_held(world: World) -> None:
    with asleep(world, 30), world.client() as client:
        with client.stream("POST", "/rag", json=ASK) as response:
            for line in response.iter_lines():
                if "waking" in line:
                    break
        _until_held(client, 0)
        time.sleep(1.5)
        asked = len(world.cloud.invocations)
        time.sleep(1.5)
        assert len(world.cloud.invocations) == asked, "the model is still asked although no request waits"


def test_a_dead_store_is_left_alone_after_some_failures(world: World) -> None:
    world.qdrant.down = True
    with world.client() as client:
        for _ in range(5):
            assert client.post("/rag", json={"query": QUESTION}).status_code == 503
        asked = len(world.qdrant.queries)
        response = client.post("/rag", json={"query": QUESTION})
        assert response.status_code == 503 and "left alone" in response.json()["error"]["message"]
        assert len(world.qdrant.queries) == asked
        assert _breaker(client, "store") == "open"
        world.qdrant.down = False
        deadline = time.monotonic() + 15
        while client.post("/rag", json={"query": QUESTION}).status_code != 200:
            assert time.monotonic() < deadline, "it never tries again"
            time.sleep(0.3)
        assert _breaker(client, "store") == "closed"


def _refusal_of_openai_client(world: World) -> openai.InternalServerError:
    with (
        openai.OpenAI(base_url=f"{world.url}/v1", api_key=KEY, max_retries=0) as client,
        pytest.raises(openai.InternalServerError) as caught,
    ):
        client.chat.completions.create(model="test/model", messages=[{"role": "user", "content": QUESTION}])
    return caught.value


def _until_held(client: httpx.Client, number: int) -> None:
    deadline = time.monotonic() + 20
    while f"twin_held_requests {number}.0" not in (told := client.get("/metrics").text):
        assert time.monotonic() < deadline, [line for line in told.splitlines() if "held" in line]
        time.sleep(0.1)


def _breaker(client: httpx.Client, dependency: str) -> str:
    for line in client.get("/metrics").text.splitlines():
        if line.startswith("twin_breaker_state{") and f'dependency="{dependency}"' in line and line.endswith(" 1.0"):
            return line.partition('twin_breaker_state="')[2].partition('"')[0]
    raise AssertionError("no such breaker")
