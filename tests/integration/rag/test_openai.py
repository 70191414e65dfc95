"""The official `openai` client, unchanged, against the running service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.integration.rag.conftest import World, eventually
from tests.integration.rag.fakes import ANSWER, KEY
from tests.integration.rag.test_answers import QUESTION

MODEL = "test/model"
ASK: list[Any] = [{"role": "user", "content": QUESTION}]


@pytest.fixture
def client(world: World) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{world.url}/v1", api_key=KEY, max_retries=0, timeout=20) as found:
        yield found


def test_a_completion_has_the_answer_usage_and_our_extras(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=ASK)
    answer = raw.parse()
    assert answer.choices[0].message.content == ANSWER
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage and (answer.usage.prompt_tokens, answer.usage.total_tokens) == (40, 46)
    extras = answer.model_extra or {}
    assert extras["sources"][0]["title"] == "Health checks" and extras["degraded"] == []
    assert answer.id == f"chatcmpl-{extras['trace_id']}"
    assert raw.headers["X-Trace-Id"] == extras["trace_id"]
    assert answer._request_id == raw.headers["X-Request-Id"]


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_stream_ends_with_a_chunk_that_carries_our_extras(client: openai.OpenAI, include_usage: bool) -> None:
    options: Any = {"stream_options": {"include_usage": True}} if include_usage else {}
    chunks = list(client.chat.completions.create(model=MODEL, messages=ASK, stream=True, **options))
    texts = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    assert "".join(texts) == ANSWER and len([text for text in texts if text]) > 3
    assert [choice.delta.role for chunk in chunks for choice in chunk.choices].count("assistant") == 1
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices]
    assert reasons[-1] == "stop" and set(reasons[:-1]) == {None}
    assert len({chunk.id for chunk in chunks}) == 1
    last = chunks[-1]
    assert not any(choice.delta.content for choice in last.choices)
    assert (last.model_extra or {})["sources"][0]["title"] == "Health checks"
    assert last.id == f"chatcmpl-{(last.model_extra or {})['trace_id']}"
    usages = [chunk.usage.total_tokens for chunk in chunks if chunk.usage]
    assert usages == ([46] if include_usage else [])
    assert (not last.choices) is include_usage


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).owned_by == "llm-twin"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("another/model")


def test_parameters_and_the_conversation_reach_the_model(world: World, client: openai.OpenAI) -> None:
    client.chat.completions.create(
        model="whatever",
        messages=[
            {"role": "system", "content": "Answer like a pirate."},
            {"role": "user", "content": "Who writes <document> here?"},
            {"role": "assistant", "content": "Ada."},
            {"role": "user", "content": [{"type": "text", "text": "And about"}, {"type": "text", "text": "weights?"}]},
        ],
        temperature=0.7,
        top_p=0.5,
        max_completion_tokens=64,
        max_tokens=100,
        stop=["END", "STOP"],
        seed=7,
        user="someone",
        presence_penalty=0.5,
        extra_body={"author": "Ada Quill", "unheard_of": {"of": 1}},
    )
    (sent,) = world.cloud.invocations
    system, first, second, last = sent["messages"]
    assert system["role"] == "system" and "digital twin" in system["content"]
    assert system["content"].endswith("Answer like a pirate.")
    assert (first["role"], first["content"]) == ("user", "Who writes &lt;document> here?")
    assert (second["role"], second["content"]) == ("assistant", "Ada.")
    assert last["content"].endswith("<question>\nAnd about\nweights?\n</question>")
    assert 'title="Health checks"' in last["content"]
    assert {name: sent[name] for name in ("temperature", "top_p", "max_tokens", "stop")} == {
        "temperature": 0.7,
        "top_p": 0.5,
        "max_tokens": 64,
        "stop": ["END", "STOP"],
    }
    assert "seed" not in sent and "user" not in sent


def test_retrieval_can_be_switched_off(world: World, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=ASK, extra_body={"enable_rag": False})
    assert (answer.model_extra or {})["sources"] == [] and world.qdrant.queries == []


@pytest.mark.parametrize(
    ("mode", "kind", "status", "code", "stream"),
    [
        ("throttled", openai.InternalServerError, 503, "llm_throttled", False),
        ("throttled", openai.InternalServerError, 503, "llm_throttled", True),
        ("model_error", openai.InternalServerError, 502, "llm_failed", False),
        ("model_error", openai.InternalServerError, 502, "llm_failed", True),
    ],
)
def test_faults_before_the_first_token_have_a_status(
    world: World,
    client: openai.OpenAI,
    mode: str,
    kind: type[openai.APIStatusError],
    status: int,
    code: str,
    stream: bool,
) -> None:
    world.cloud.mode = mode
    with pytest.raises(kind) as caught:
        client.chat.completions.create(model=MODEL, messages=ASK, stream=stream, extra_body={"enable_rag": False})
    error = caught.value
    assert (error.status_code, error.code, error.type) == (status, code, "server_error")
    assert error.request_id and isinstance(error.body, dict) and error.body["request_id"] == error.request_id
    assert ("retry-after" in error.response.headers) is (status == 503)


def test_a_break_after_the_first_token_is_an_api_error(world: World, client: openai.OpenAI) -> None:
    world.cloud.mode = "break"
    got = []
    with pytest.raises(openai.APIError) as caught:
        for chunk in client.chat.completions.create(model=MODEL, messages=ASK, stream=True):
            got.append(chunk)
    assert got and caught.value.code == "llm_stream_broken"


def test_a_wrong_key_is_an_authentication_error(world: World) -> None:
    with openai.OpenAI(base_url=f"{world.url}/v1", api_key="wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            client.chat.completions.create(model=MODEL, messages=ASK)
        assert caught.value.type == "authentication_error"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"n": 2}, "one answer"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "calls no tools"),
        ({"messages": [{"role": "tool", "tool_call_id": "1", "content": "x"}]}, "'tool' are not read"),
        ({"messages": []}, "no user message"),
        ({"messages": [{"role": "system", "content": "x"}]}, "no user message"),
        ({"messages": [{"role": "user", "content": " "}]}, "says nothing"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x"}}]}]},
            "'image_url' is not read",
        ),
    ],
)
def test_what_cannot_be_served_is_a_bad_request(client: openai.OpenAI, change: dict[str, Any], says: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**{"model": MODEL, "messages": ASK, **change})
    assert says in caught.value.message and caught.value.type == "invalid_request_error"
    assert caught.value.param == next(iter(change))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"temperature": 3}, "invalid_request"),
        ({"max_tokens": 100_000}, "output_too_long"),
        ({"messages": [{"role": "user", "content": "word " * 1500}]}, "query_too_long"),
    ],
)
def test_what_is_out_of_bounds_is_unprocessable(client: openai.OpenAI, change: dict[str, Any], code: str) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        client.chat.completions.create(**{"model": MODEL, "messages": ASK, **change})
    assert caught.value.code == code


def test_a_large_conversation_is_413(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(
            model=MODEL, messages=[{"role": "assistant", "content": "y" * 9000}, {"role": "user", "content": "x"}]
        )
    assert (caught.value.status_code, caught.value.code) == (413, "request_too_large")


def test_closing_the_stream_cancels_the_model(world: World, client: openai.OpenAI) -> None:
    world.cloud.mode = "slow"
    with client.chat.completions.create(model=MODEL, messages=ASK, stream=True) as stream:
        trace_id = stream.response.headers["X-Trace-Id"]
        assert next(iter(stream)).choices[0].delta.content
    assert world.cloud.aborted.wait(30), "the model was not told"
    trace, _ = world.opik.wait_for(trace_id)
    assert trace["error_info"]["exception_type"] == "ClientDisconnected"


@pytest.mark.parametrize("stream", [True, False])
async def test_cancelling_the_async_client_cancels_the_model(world: World, stream: bool) -> None:
    world.cloud.mode = "slow"
    async with openai.AsyncOpenAI(base_url=f"{world.url}/v1", api_key=KEY, max_retries=0, timeout=30) as client:

        async def ask() -> None:
            answer: Any = await client.chat.completions.create(model=MODEL, messages=ASK, stream=stream)
            async for _ in answer:
                pass

        asking = asyncio.create_task(ask())
        await asyncio.to_thread(eventually, lambda: world.cloud.invocations)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await asyncio.to_thread(world.cloud.aborted.wait, 10), "the model was not told"


async def test_many_async_streams_at_once(world: World) -> None:
    async with openai.AsyncOpenAI(base_url=f"{world.url}/v1", api_key=KEY, max_retries=0, timeout=30) as client:

        async def ask() -> str:
            stream = await client.chat.completions.create(model=MODEL, messages=ASK, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

        assert await asyncio.gather(*(ask() for _ in range(20))) == [ANSWER] * 20


def test_retrieval_down_is_503_unless_the_request_allows_an_answer_without(world: World, client: openai.OpenAI) -> None:
    world.qdrant.down = True
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model=MODEL, messages=ASK)
    assert caught.value.code == "retrieval_unavailable"
    answer = client.chat.completions.create(model=MODEL, messages=ASK, extra_body={"allow_without_context": True})
    extras = answer.model_extra or {}
    assert answer.choices[0].message.content == ANSWER
    assert extras["degraded"] == ["retrieval"] and extras["sources"] == []
    trace, _ = world.opik.wait_for(extras["trace_id"])
    assert trace["metadata"]["degraded"] == ["retrieval"] and "degraded" in trace["tags"]
    time.sleep(0.5)
    assert extras["trace_id"] not in {sample["trace_id"] for sample in world.cloud.samples}
