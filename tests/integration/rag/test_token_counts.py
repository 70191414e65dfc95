"""Budgets by the model's own counts: against a container with a real tokenizer, and where there is none to ask."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import orjson
import pytest

from localcloud.sagemaker_runtime.app import create_app as create_runtime
from localcloud.sagemaker_runtime.guard import guarded
from localcloud.sagemaker_runtime.routing import EndpointRoute, RoutingTable
from scripts.build_embedding_model import build
from services.common.sagemaker import ModelFailed, SageMakerChat
from services.llm.app import create_app as create_container
from services.llm.engines.extractive import ExtractiveEngine
from services.rag.conversation import Turn
from services.rag.errors import PromptTooLong
from services.rag.pipeline.counts import ModelCounts, fitted
from services.rag.pipeline.prompt import Prompt, PromptBuilder
from services.rag.pipeline.tokens import EstimatedTokens, TokenCounter
from tests.asgi_server import serving
from tests.aws import CREDENTIALS, aws_environment
from tests.integration.rag.conftest import World, another, eventually
from tests.unit.rag.helpers import hit

CONTEXT, WINDOW, ANSWER = 600, 1600, 100
TURKISH = "Görüşmelerimizi ölçerek değerlendiriyoruz; öğrendiklerimizi yeniden düzenliyoruz. "
CODE = '        response["headers"]["X-Trace-Id"] = f"{trace.id:016x}"  # {self._owners!r} -> None\n'
TEXTS = {"Turkish": TURKISH, "code": CODE}
Ask = Callable[[SageMakerChat], Any]


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The local LLM container, whose engine has a real tokenizer and refuses what is above its window."""
    engine = ExtractiveEngine(build(tmp_path_factory.mktemp("llm") / "model"), 0)
    with serving(create_container(engine, "model", max_model_len=WINDOW)) as url:
        eventually(lambda: httpx.get(f"{url}/ping").status_code == 200, 30)
        yield url


@pytest.fixture(scope="module")
def environment(container: str) -> Iterator[dict[str, str]]:
    """The runtime API in front of the container."""
    table = RoutingTable()
    table.set_endpoint(EndpointRoute("twin", "AllTraffic", (container,)))
    with serving(guarded(create_runtime(table), CREDENTIALS)) as url:
        yield aws_environment(url, "eu-west-1")


def asked(environment: dict[str, str], ask: Ask) -> Any:
    """What `ask` gives with a client of the endpoint that has answered once."""

    @contextlib.asynccontextmanager
    async def client() -> AsyncIterator[SageMakerChat]:
        chat = SageMakerChat("twin")
        await chat.probe(10)
        yield chat
        await chat.close()

    async def run() -> Any:
        async with client() as chat:
            return await ask(chat)

    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return asyncio.run(run())


def documents(text: str) -> list[Any]:
    return [hit(f"{number} {text * 3}", number=number) for number in range(12)]


def builder(text: str, history: int = 0, **guess: float) -> Callable[[TokenCounter | None], Prompt]:
    prompts = PromptBuilder(CONTEXT, EstimatedTokens(**guess), model_len=WINDOW)
    turns = [Turn("assistant" if number % 2 else "user", text * 2) for number in range(history)]

    def made(tokens: TokenCounter | None) -> Prompt:
        return prompts.build("q", documents(text), history=turns, max_output_tokens=ANSWER, tokens=tokens)

    return made


BARE = PromptBuilder(CONTEXT, model_len=WINDOW).bare("q")


@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_a_context_that_was_guessed_too_small_is_within_its_budget(environment: dict[str, str], text: str) -> None:
    async def both(chat: SageMakerChat) -> tuple[Prompt | None, Prompt]:
        counts = ModelCounts(chat)
        return await counts.prompt(builder(text)(None)), await fitted(builder(text), BARE, counts)

    guessed, counted = asked(environment, both)
    assert guessed.sizes.counted_context > 1.2 * CONTEXT, "the guess is right: the test shows nothing"
    assert 0.75 * CONTEXT < counted.sizes.counted_context <= CONTEXT


def test_documents_that_a_learnt_ratio_keeps_out_are_let_in(environment: dict[str, str]) -> None:
    english = "The health check timeout is long because the weights load slowly from the bucket. "
    build_prompt = builder(english, chars_per_token=1.5)

    async def both(chat: SageMakerChat) -> tuple[Prompt, Prompt]:
        return build_prompt(None), await fitted(build_prompt, BARE, ModelCounts(chat))

    guessed, counted = asked(environment, both)
    assert len(counted.used) >= 2 * len(guessed.used)
    assert 0.75 * CONTEXT < counted.sizes.counted_context <= CONTEXT


def test_a_prompt_that_the_model_would_refuse_fits_by_its_count(environment: dict[str, str]) -> None:
    build_prompt = builder(TURKISH, history=20)

    async def answered(chat: SageMakerChat) -> tuple[Prompt, bytes]:
        counted = await fitted(build_prompt, BARE, ModelCounts(chat))
        with pytest.raises(ModelFailed, match="400"):
            await chat.invoke(orjson.dumps({"messages": build_prompt(None).messages, "max_tokens": ANSWER}))
        return counted, await chat.invoke(orjson.dumps({"messages": counted.messages, "max_tokens": ANSWER}))

    counted, answer = asked(environment, answered)
    assert counted.sizes.counted <= WINDOW - ANSWER
    assert 0 < counted.dropped_turns < 20
    assert orjson.loads(answer)["usage"]["prompt_tokens"] == counted.sizes.counted


def test_a_question_that_is_guessed_too_long_is_answered(environment: dict[str, str]) -> None:
    prompts = PromptBuilder(CONTEXT, EstimatedTokens(1.0), model_len=WINDOW)
    question = "why do the weights load slowly " * 60

    def made(tokens: TokenCounter | None) -> Prompt:
        return prompts.build(question, [], max_output_tokens=ANSWER, tokens=tokens)

    with pytest.raises(PromptTooLong):
        made(None)
    bare = prompts.bare(question)
    prompt = asked(environment, lambda chat: fitted(made, bare, ModelCounts(chat)))
    assert prompt.messages[-1]["content"].count("weights") == 60


LONG = " ".join(["timeout"] * 220)
"""About 440 tokens by the guess, and as many as it has characters (1,759) by the count of `fakes.Cloud`."""


def ask(world: World, query: str) -> httpx.Response:
    with world.client() as client:
        return client.post("/rag", json={"query": query})


def counts(world: World) -> list[dict[str, Any]]:
    return [one for one in world.cloud.invocations if one.get("route") == "/tokenize"]


@pytest.fixture
def counting(world: World) -> Iterator[World]:
    """The service with counts on, whose model has answered a question already, so that it is known to be awake."""
    with serving(another(world, llm_count_tokens=True, query_max_tokens=500), world.environment) as url:
        beside = world.at(url)
        assert ask(beside, "short").status_code == 200
        assert not counts(world), "a question far from every limit was counted"
        yield beside
        world.cloud.counting = "tokens"


def test_a_question_above_the_limit_by_its_count_is_refused(counting: World) -> None:
    refused = ask(counting, LONG)
    assert refused.status_code == 422
    assert re.search(r"has 1759 tokens; at most 500", refused.json()["error"]["message"])
    assert counts(counting)[0]["prompt"] == LONG
    assert counts(counting)[0]["component"] == "twin-model"


@pytest.mark.parametrize("way", ["ignored", "unknown", "late"])
def test_without_a_count_the_guess_decides_and_nothing_fails(counting: World, way: str) -> None:
    counting.cloud.counting = way
    began = time.monotonic()
    first, second = ask(counting, LONG), ask(counting, LONG)
    assert (first.status_code, second.status_code) == (200, 200)
    assert time.monotonic() - began < 4
    assert len(counts(counting)) == 1, "a container without counts is asked again and again"
    assert counts(counting)[0]["max_tokens"] == 1
    trace, _ = counting.opik.wait_for(second.json()["trace_id"])
    assert trace["metadata"]["budget_tokens_estimated"] is True


def test_a_model_that_sleeps_is_not_woken_for_a_count(counting: World) -> None:
    counting.cloud.mode = "no_capacity"
    assert ask(counting, "short").status_code == 503
    counting.cloud.invocations.clear()
    ask(counting, LONG + " timeout" * 200)
    assert not counts(counting)


def test_counts_are_off_unless_the_container_has_the_route(world: World) -> None:
    assert ask(world, "short").status_code == 200
    ask(world, LONG)
    assert not counts(world)
