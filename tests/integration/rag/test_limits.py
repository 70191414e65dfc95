"""Limits: requests per key, bytes, tokens, and the patience with callers that do not send or read."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request
from starlette.responses import Response

from services.common.tracing import Trace
from services.rag.api.middleware import Gateway
from services.rag.api.protocol.rag_codec import EventCodec
from services.rag.api.protocol.responses import EventStreamResponse
from services.rag.conversation import Question
from services.rag.pipeline.recorder import TRACE_NAME
from tests.asgi_server import serving
from tests.integration.rag.conftest import World, another, eventually
from tests.integration.rag.fakes import KEY, LIMITED
from tests.integration.rag.test_answers import QUESTION

PATIENCE_SECONDS = 0.5
WINDOW, OUTPUT = 700, 100
NOT_READ = "/not-read"


async def _impatient(request: Request) -> Response:
    """The stream of an answer whose caller has half a second to read on."""
    question = Question(QUESTION, False, None, "", request.state.received)
    events = request.app.state.services.pipeline.answer(question, Trace(TRACE_NAME))
    return EventStreamResponse(events, {}, EventCodec(), send_timeout_seconds=PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def strict_service(running: World) -> Iterator[World]:
    app = another(
        running,
        query_max_tokens=50,
        llm_max_output_tokens=OUTPUT,
        llm_max_model_len=WINDOW,
        opik_url_override=None,
    )
    app.add_middleware(Gateway, max_request_bytes=8192, max_concurrent=100, body_timeout_seconds=PATIENCE_SECONDS)
    app.add_api_route(NOT_READ, _impatient, response_model=None)
    with serving(app, running.environment) as url:
        yield running.at(url)


@pytest.fixture
def strict(world: World, strict_service: World) -> World:
    return strict_service


def ended(world: World, status: int, route: str = "other") -> float:
    """How many requests the service counted with a status."""
    with world.client() as client:
        exposition = client.get("/metrics").text
    (family,) = [found for found in text_string_to_metric_families(exposition) if found.name == "twin_requests"]
    return sum(
        sample.value
        for sample in family.samples
        if sample.name.endswith("_total") and (sample.labels["status"], sample.labels["route"]) == (str(status), route)
    )


def connect(world: World, head: bytes, body: bytes = b"") -> socket.socket:
    """A connection on which the beginning of a request was sent."""
    host, port = world.url.removeprefix("http://").split(":")
    found = socket.create_connection((host, int(port)), timeout=20)
    found.sendall(head + b"\r\nHost: x\r\nAuthorization: Bearer " + KEY.encode() + b"\r\n\r\n" + body)
    return found


def test_a_key_has_a_limit_of_its_own(world: World) -> None:
    body = {"trace_id": "01890000-0000-7000-8000-000000000000", "score": 1}
    with world.client() as client:
        # The SDK takes seconds to load on a busy machine.
        eventually(lambda: client.post("/feedback", json=body).status_code == 404, seconds=60)
    with world.client("key-of-two") as client:
        first, second, third = (client.post("/feedback", json=body) for _ in range(3))
        assert client.get("/v1/models").status_code == 200, "looking is not limited"
    assert [answer.status_code for answer in (first, second, third)] == [404, 404, 429]
    limit = LIMITED["key-of-two"]
    told = [answer.headers["X-RateLimit-Remaining-Requests"] for answer in (first, second, third)]
    assert told == [str(limit - 1), str(limit - 2), "0"]
    assert third.headers["X-RateLimit-Limit-Requests"] == str(limit)
    assert 0 < float(third.headers["X-RateLimit-Reset-Requests"].removesuffix("s")) <= 60
    assert 0 < int(third.headers["Retry-After"]) <= 60 / limit
    assert "Retry-After" not in first.headers
    error = third.json()["error"]
    assert (error["code"], error["type"]) == ("rate_limit_exceeded", "rate_limit_error")
    assert error["request_id"] == third.headers["X-Request-Id"]
    with world.client() as client:
        other = client.post("/feedback", json=body)
    assert other.status_code == 404 and int(other.headers["X-RateLimit-Limit-Requests"]) == 100_000


def test_the_openai_client_raises_its_rate_limit_error(world: World) -> None:
    with openai.OpenAI(base_url=f"{world.url}/v1", api_key="key-of-one", max_retries=0, timeout=20) as client:
        ask: Any = {"model": "m", "messages": [{"role": "user", "content": QUESTION}]}
        assert client.chat.completions.create(**ask).choices
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(**ask)
    assert caught.value.code == "rate_limit_exceeded"
    assert int(caught.value.response.headers["Retry-After"]) > 0
    assert len(world.cloud.invocations) == 1


@pytest.mark.parametrize(("size", "status"), [(8192, 200), (8193, 413)])
def test_a_body_may_have_so_many_bytes(world: World, size: int, status: int) -> None:
    body = json.dumps({"query": QUESTION}).encode().ljust(size)
    with world.client() as client:
        answer = client.post("/rag", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert len(world.cloud.invocations) == (1 if status == 200 else 0)


def test_a_body_that_is_announced_as_too_large_is_not_waited_for(strict: World) -> None:
    with connect(strict, b"POST /rag HTTP/1.1\r\nContent-Length: 100000000") as caller:
        assert caller.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_questions_and_answers_may_have_so_many_tokens(strict: World) -> None:
    with strict.client() as client:
        long = client.post("/rag", json={"query": "word " * 100}).json()["error"]
        ask = {"messages": [{"role": "user", "content": QUESTION}]}
        much = client.post("/v1/chat/completions", json={**ask, "max_tokens": OUTPUT + 1}).json()["error"]
        assert client.post("/v1/chat/completions", json={**ask, "max_tokens": OUTPUT}).status_code == 200
        assert client.post("/v1/chat/completions", json=ask).status_code == 200
        document = client.get("/openapi.json").json()
    assert (long["code"], long["param"]) == ("query_too_long", "query")
    assert (much["code"], much["param"]) == ("output_too_long", "max_tokens")
    assert [sent["max_tokens"] for sent in strict.cloud.invocations] == [OUTPUT, OUTPUT]
    integer, _ = document["components"]["schemas"]["ChatCompletionRequest"]["properties"]["max_tokens"]["anyOf"]
    assert integer["maximum"] == OUTPUT


def test_of_a_long_conversation_the_newest_turns_are_kept(strict: World) -> None:
    turns = [
        {"role": role, "content": f"{role} {number} " + "blah " * 30}
        for number in range(20)
        for role in ("user", "assistant")
    ]
    with strict.client() as client:
        answer = client.post("/v1/chat/completions", json={"messages": [*turns, {"role": "user", "content": QUESTION}]})
    assert answer.status_code == 200, answer.text
    (sent,) = strict.cloud.invocations
    _, *kept, last = sent["messages"]
    assert 0 < len(kept) < len(turns)
    assert kept == turns[-len(kept) :] and kept[0]["role"] == "user"
    assert QUESTION in last["content"] and "<context>" in last["content"]
    # Characters a token, as the estimate starts; its corrections raise it.
    assert sum(len(message["content"]) for message in sent["messages"]) / 6 <= WINDOW - OUTPUT


def test_instructions_that_fill_the_window_are_refused(strict: World) -> None:
    messages = [{"role": "system", "content": "rule " * 1000}, {"role": "user", "content": QUESTION}]
    with strict.client() as client:
        error = client.post("/v1/chat/completions", json={"messages": messages}).json()["error"]
    assert (error["code"], error["param"]) == ("context_length_exceeded", "messages")
    assert str(WINDOW) in error["message"] and not strict.cloud.invocations


def test_a_caller_that_reads_nothing_loses_the_model(strict: World) -> None:
    strict.cloud.mode = "flood"
    before = ended(strict, 499, NOT_READ)
    with connect(strict, f"GET {NOT_READ} HTTP/1.1".encode()) as caller:
        assert caller.recv(100).startswith(b"HTTP/1.1 200 ")
        assert strict.cloud.aborted.wait(20), "the model was not told"
        assert eventually(lambda: ended(strict, 499, NOT_READ) == before + 1)


def test_a_caller_that_leaves_while_it_sends_costs_nothing(strict: World) -> None:
    before = ended(strict, 499)
    connect(strict, b"POST /rag HTTP/1.1\r\nContent-Length: 500", b'{"query": "').close()
    assert eventually(lambda: ended(strict, 499) == before + 1)
    assert not strict.cloud.invocations


def test_a_body_that_does_not_come_is_a_timeout(strict: World) -> None:
    with connect(strict, b"POST /rag HTTP/1.1\r\nContent-Length: 500", b'{"query": "') as caller:
        answer = caller.recv(65536)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"request_timeout"' in answer and b"x-request-id: " in answer
    with strict.client() as client:
        assert client.post("/rag", json={"query": QUESTION}).status_code == 200


@pytest.mark.parametrize("path", ["/rag", "/v1/chat/completions", "/feedback"])
@pytest.mark.parametrize(
    "body",
    [
        {"f" + "x" * 2000 + str(number): 1 for number in range(3)},
        {f"field{number}": number for number in range(400)},
        {"history": [{"wrong": 1}] * 200, "messages": [{"role": 1}] * 200},
        {"query": 1, "author": 2, "stream": 3, "enable_rag": 4, "history": 5, "messages": 6, "stop": 7, "top_p": "x"},
    ],
    ids=["long names", "many fields", "many turns", "every field"],
)
def test_a_refusal_names_a_few_problems_in_few_words(world: World, path: str, body: dict[str, Any]) -> None:
    with world.client() as client:
        refused = client.post(path, json=body)
    assert refused.status_code == 422
    assert len(refused.content) < 2500
    assert refused.json()["error"]["message"].count(";") <= 5
