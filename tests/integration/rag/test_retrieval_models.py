"""Models that help to retrieve: what they change, and that nothing depends on them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from services.rag.pipeline.rerank import ranking
from services.rag.pipeline.rerank.blend import BLEND_ID
from services.rag.pipeline.rerank.cross_encoder import CrossEncoder
from services.rag.stores.documents import Vector
from tests.integration.rag.fakes import WordEmbedder
from tests.integration.rag.retrieval_models import RetrievalWorld, retrieval_world
from tests.unit.rag.tiny_cross_encoder import write_cross_encoder

QUERY = "What is said about the health check timeout?"


@pytest.fixture(scope="module")
def started(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RetrievalWorld]:
    with retrieval_world(corpus, tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest.fixture
def world(started: RetrievalWorld) -> RetrievalWorld:
    started.model.mode = "ok"
    started.model.asked.clear()
    return started


@pytest.fixture(scope="module")
def blended(started: RetrievalWorld) -> tuple[dict[str, Any], dict[str, Any]]:
    """The answer of a service without a model that ranks, and its trace."""
    started.model.mode = "ok"
    answer, trace, _ = started.ask(QUERY)
    return answer, trace


def parsed(span: dict[str, Any], field: str) -> dict[str, Any]:
    value = span.get(field) or {}
    return json.loads(value) if isinstance(value, str) else value


def test_a_model_rephrases_and_finds_filters(world: RetrievalWorld) -> None:
    answer, _, spans = world.ask(QUERY, query_understanding="llm", understanding_timeout_seconds=8)
    assert {source["author"] for source in answer["sources"]} == {"Ben Marsh"}
    expansion, extraction = spans["query_expansion"], spans["self_query"]
    assert parsed(expansion, "output") == {"variants": ["queue without an alarm"]}
    assert parsed(extraction, "output")["authors"] == ["Ben Marsh"]
    for span, prompt in ((expansion, "expand_query.v1"), (extraction, "self_query.v1")):
        metadata = parsed(span, "metadata")
        assert (metadata["method"], metadata["prompt"]) == ("llm", prompt)
    assert answer["degraded"] == []


def test_a_cheaper_model_of_its_own_may_understand(world: RetrievalWorld) -> None:
    given = {"query_understanding": "llm", "understanding_endpoint_name": "helper", "query_variants": 0}
    _, _, spans = world.ask(QUERY, understanding_timeout_seconds=8, **given)
    assert parsed(spans["query_expansion"], "metadata")["method"] == "off"
    assert parsed(spans["self_query"], "metadata")["model"] == "helper"


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("invalid", "The model's answer is not JSON of the asked shape."),
        ("slow", "The model did not answer within 0.5 s."),
        ("fail", "The model behind endpoint twin failed (its status: 500)."),
    ],
)
def test_without_understanding_the_question_is_searched_as_it_is(world: RetrievalWorld, mode: str, reason: str) -> None:
    world.model.mode = mode
    seconds = 0.5 if mode == "slow" else 8
    answer, _, spans = world.ask(QUERY, query_understanding="llm", understanding_timeout_seconds=seconds)
    assert answer["sources"][0]["title"] == "Health checks"
    assert parsed(spans["query_expansion"], "output") == {"variants": []}
    assert parsed(spans["self_query"], "output")["authors"] == []
    for name in ("query_expansion", "self_query"):
        metadata = parsed(spans[name], "metadata")
        assert (metadata["method"], metadata["reason"]) == ("degraded", reason)


@pytest.mark.parametrize(
    ("given", "reranker_id"),
    [
        ({"reranker": "tei", "reranker_url": "{model}"}, "tei:{model}"),
        ({"reranker": "sagemaker", "reranker_endpoint_name": "reranker"}, "sagemaker:reranker"),
        ({"reranker": "llm", "understanding_endpoint_name": "helper"}, "llm:helper:rerank_passages.v1"),
    ],
)
def test_a_model_has_the_last_word_on_the_order(
    blended: tuple[dict[str, Any], dict[str, Any]], world: RetrievalWorld, given: dict[str, str], reranker_id: str
) -> None:
    before, trace = blended
    assert {source["ranked_by"] for source in before["sources"]} == {BLEND_ID}
    assert parsed(trace, "metadata")["reranker_id"] == BLEND_ID
    settings = {name: value.format(model=world.model.url) for name, value in given.items()}
    answer, trace, spans = world.ask(QUERY, reranker_timeout_seconds=8, **settings)
    expected = reranker_id.format(model=world.model.url)
    assert {source["ranked_by"] for source in answer["sources"]} == {expected}
    assert (parsed(trace, "metadata")["reranker_id"], answer["degraded"]) == (expected, [])
    assert parsed(spans["retriever.rerank"], "metadata")["reranker_id"] == expected
    # The model turns the blend's order round, and the answer is given from it.
    order = [source["document_id"] for source in answer["sources"]]
    assert order == [source["document_id"] for source in reversed(before["sources"])] and len(order) > 1


def test_a_cross_encoder_ranks_in_the_service(world: RetrievalWorld, tmp_path: Path) -> None:
    write_cross_encoder(tmp_path)
    answer, _, _ = world.ask(QUERY, reranker="cross-encoder", reranker_model=str(tmp_path))
    expected = f"cross-encoder:{tmp_path.name}"
    scores = [source["score"] for source in answer["sources"]]
    assert {source["ranked_by"] for source in answer["sources"]} == {expected}
    assert scores == sorted(scores, reverse=True) and all(0 < score < 1 for score in scores)


@pytest.mark.parametrize(
    ("mode", "given", "reason"),
    [
        ("dead", {"reranker": "tei", "reranker_url": "http://127.0.0.1:9"}, "The re-ranker cannot be reached"),
        ("fail", {"reranker": "tei", "reranker_url": "{model}"}, "The re-ranker answered with status 500."),
        ("invalid", {"reranker": "tei", "reranker_url": "{model}"}, "is not a list of index and score."),
        ("slow", {"reranker": "tei", "reranker_url": "{model}"}, "The re-ranker did not answer within 0.5 s."),
        ("dead", {"reranker": "sagemaker", "reranker_endpoint_name": "gone"}, "Endpoint gone"),
        ("fail", {"reranker": "sagemaker", "reranker_endpoint_name": "reranker"}, "endpoint reranker failed"),
        ("slow", {"reranker": "sagemaker", "reranker_endpoint_name": "reranker"}, "did not finish its answer in time"),
        ("invalid", {"reranker": "llm"}, "The model's answer is not JSON of the asked shape."),
    ],
)
def test_a_reranker_that_fails_leaves_the_blend_and_the_answer_says_so(
    world: RetrievalWorld, mode: str, given: dict[str, str], reason: str
) -> None:
    world.model.mode = mode
    settings = {name: value.format(model=world.model.url) for name, value in given.items()}
    answer, trace, spans = world.ask(QUERY, reranker_timeout_seconds=0.5 if mode == "slow" else 8, **settings)
    assert answer["degraded"] == ["rerank"]
    assert answer["sources"][0]["title"] == "Health checks"
    assert {source["ranked_by"] for source in answer["sources"]} == {BLEND_ID}
    metadata = parsed(trace, "metadata")
    assert metadata["reranker_id"] == BLEND_ID and reason in metadata["reranker_degraded"]
    assert reason in parsed(spans["retriever.rerank"], "metadata")["degraded"]
    assert "degraded" in trace["tags"]


class Gate:
    """Stops the work that runs through it until somebody opens it, and notes on which thread that was."""

    def __init__(self) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()
        self.threads: set[str] = set()

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def held(*args: Any) -> Any:
            self.threads.add(threading.current_thread().name)
            self.entered.set()
            assert self.opened.wait(60)
            return function(*args)

        return held


class Held(WordEmbedder):
    """An embedder behind a gate."""

    def __init__(self, gate: Gate) -> None:
        self._held = gate.around(super().embed)

    def embed(self, texts: Sequence[str]) -> Vector:
        vectors: Vector = self._held(texts)
        return vectors


@pytest.mark.parametrize("work", ["embedding", "blend", "cross-encoder"])
def test_the_event_loop_serves_while_cpu_work_runs(
    world: RetrievalWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    gate = Gate()
    given: dict[str, str] = {}
    if work == "blend":
        monkeypatch.setattr(ranking, "blend", gate.around(ranking.blend))
    if work == "cross-encoder":
        write_cross_encoder(tmp_path)
        given = {"reranker": "cross-encoder", "reranker_model": str(tmp_path)}
    embedder = Held(gate) if work == "embedding" else WordEmbedder()
    with world.service(embedder, **given) as client, ThreadPoolExecutor(1) as caller:
        if work == "cross-encoder":
            # After the start, which scores one pair to see that the model can be used.
            score = CrossEncoder.score
            monkeypatch.setattr(CrossEncoder, "score", gate.around(score))
        asked = caller.submit(client.post, "/rag", json={"query": QUERY})
        try:
            assert gate.entered.wait(30)
            # On the event loop, the work would have to end before anybody else is answered.
            assert client.get("/healthz").status_code == 200
            assert not asked.done()
        finally:
            gate.opened.set()
        assert asked.result().status_code == 200
    assert {name.rpartition("_")[0] for name in gate.threads} == {"embedding"}
