"""Fusion, the blend, a cross-encoder made on the fly, and what happens when a scorer fails."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.common.breaker import CircuitBreaker
from services.common.sagemaker import ChatChunk, ModelFailed
from services.common.settings import ConfigurationError
from services.rag.embeddings.pool import CpuPool
from services.rag.pipeline.rerank.blend import BLEND_ID, blend, bm25
from services.rag.pipeline.rerank.cross_encoder import CrossEncoder, CrossEncoderScorer, find_model
from services.rag.pipeline.rerank.factory import check_scorer, open_scorer
from services.rag.pipeline.rerank.llm import LlmScorer
from services.rag.pipeline.rerank.model_files import is_hub_id, model_directory
from services.rag.pipeline.rerank.ranking import Reranking
from services.rag.pipeline.rerank.remote import scores_of
from services.rag.pipeline.rerank.scorer import GuardedScorer, RerankFailed, Scorer
from services.rag.pipeline.retrieve import fuse
from services.rag.prompts.structured import StructuredChat
from services.rag.settings import RetrievalSettings
from services.rag.stores.documents import Vector
from tests.unit.rag.helpers import hit
from tests.unit.rag.tiny_cross_encoder import write_cross_encoder

RIGHT = np.asarray((1.0, 0.0), dtype=np.float32)
BASE = {"qdrant_url": "http://127.0.0.1:1", "embedding_model_dir": Path("unused")}


class NoModel:
    """Embeds nothing: these tests use the pool's threads only."""

    model_id = "none"
    dimension = 2

    def embed(self, texts: Sequence[str]) -> Vector:
        raise AssertionError("nothing to embed here")


@pytest.fixture
def pool() -> Any:
    opened = CpuPool(NoModel(), 1)
    yield opened
    opened.close()


def test_fusion_orders_by_score_and_drops_repeated_texts() -> None:
    fused = fuse([[hit("a", score=0.2), hit("b", score=0.5)], [hit("a ", score=0.9), hit("c", score=0.1)]], limit=2)
    assert [found.chunk.text.strip() for found in fused] == ["a", "b"]
    assert fused[0].score == 0.9


def test_bm25_prefers_rare_terms_and_ignores_function_words() -> None:
    texts = ["queue queue lambda", "queue endpoint", "queue the and"]
    scores = bm25("the endpoint queue", texts)
    assert max(scores) == scores[1]
    assert bm25("the and", texts) == [0.0, 0.0, 0.0]


def test_blend_weighs_cosine_and_bm25() -> None:
    near = hit("unrelated words", vector=(1.0, 0.0))
    named = hit("timeout", vector=(0.8, 0.6))
    far = hit("nothing", vector=(0.0, 1.0))
    ranked = blend("timeout", RIGHT, [near, named, far])
    assert [found.chunk.text for found in ranked] == ["timeout", "unrelated words", "nothing"]
    assert [found.score for found in ranked] == pytest.approx([0.7 * 0.8 + 0.3, 0.7, 0.0], abs=1e-6)


class Longest(Scorer):
    """Likes long texts, and takes two of them at a time."""

    reranker_id = "tests/longest"
    max_candidates = 2

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[list[str]] = []

    async def score(self, query: str, texts: Sequence[str]) -> list[float]:
        self.asked.append(list(texts))
        if self.error:
            raise self.error
        return [float(len(text)) for text in texts]


async def test_a_scorer_has_the_last_word_on_the_best_of_the_blend(pool: CpuPool) -> None:
    scorer = Longest()
    hits = [hit("x" * n, vector=(cosine, 0.0)) for n, cosine in ((1, 0.9), (50, 0.1), (3, 0.8))]
    ranking = await Reranking(pool, scorer).rank("q", RIGHT, hits, top_k=3)
    assert [len(found.chunk.text) for found in ranking.hits] == [3, 1, 50]
    assert ranking.hits[-1].score == 0.0  # beyond the scorer's limit
    assert scorer.asked == [["t\nx", "t\nxxx"]]
    assert (ranking.reranker_id, ranking.degraded) == ("tests/longest", None)


async def test_a_scorer_that_fails_leaves_the_blend_and_says_so(pool: CpuPool) -> None:
    hits = [hit("a", vector=(0.1, 0.0)), hit("b", vector=(0.9, 0.0))]
    reranking = Reranking(pool, Longest(RerankFailed("It is down.")))
    ranking = await reranking.rank("q", RIGHT, hits, top_k=1)
    assert [found.chunk.text for found in ranking.hits] == ["b"]
    assert (ranking.reranker_id, ranking.degraded) == (BLEND_ID, "It is down.")
    assert reranking.reranker_id == "tests/longest"
    assert (await reranking.rank("q", RIGHT, [], top_k=1)).hits == []


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("place", ["model.onnx", "onnx/model.onnx", "onnx/model_quantized.onnx"])
def test_a_cross_encoder_loads_and_scores_pairs(tmp_path: Path, place: str, outputs: int) -> None:
    write_cross_encoder(tmp_path, place, outputs=outputs)
    model = CrossEncoder(tmp_path)
    passages = ["the endpoint sleeps", "a queue without an alarm is a bin"]
    together = model.score("why is the endpoint asleep", passages)
    assert all(0 < score < 1 for score in together) and together[0] != together[1]
    # Padding of a batch changes nothing, and neither does the order.
    alone = [model.score("why is the endpoint asleep", [passage])[0] for passage in passages]
    assert together == pytest.approx(alone, abs=1e-5)
    assert model.score("why is the endpoint asleep", passages[::-1]) == pytest.approx(together[::-1], abs=1e-5)


def test_pairs_are_cut_at_128_tokens(tmp_path: Path) -> None:
    write_cross_encoder(tmp_path)
    model = CrossEncoder(tmp_path)
    long = "queue " * 200
    assert model.score("q", [long]) == model.score("q", [long + "endpoint " * 50])


async def test_a_cross_encoder_runs_on_the_pool(tmp_path: Path, pool: CpuPool) -> None:
    write_cross_encoder(tmp_path)
    model = CrossEncoder(tmp_path)
    threads: list[str] = []
    score = model.score

    def recorded(query: str, texts: Sequence[str]) -> list[float]:
        threads.append(threading.current_thread().name)
        return score(query, texts)

    model.score = recorded  # type: ignore[method-assign]
    scorer = CrossEncoderScorer(model, "tiny", pool)
    hits = [hit(f"the endpoint {number}", number=number) for number in range(15)]
    ranking = await Reranking(pool, scorer).rank("endpoint", RIGHT, hits, top_k=15)
    assert threads == ["embedding_0"]
    assert ranking.reranker_id == "cross-encoder:tiny"
    assert [found.score > 0 for found in ranking.hits] == [True] * 10 + [False] * 5


def test_a_directory_that_is_none_or_lacks_a_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"RERANKER_MODEL is wrong: .*is not a directory"):
        find_model(tmp_path / "nowhere")
    with pytest.raises(ConfigurationError, match=r"has no tokenizer\.json"):
        find_model(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ConfigurationError, match=r"has no onnx/model\*\.onnx and no model\*\.onnx"):
        CrossEncoder(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(ConfigurationError, match="is not a cross-encoder that can be used"):
        CrossEncoder(tmp_path)


def test_a_model_that_does_not_score_pairs_is_refused(tmp_path: Path) -> None:
    write_cross_encoder(tmp_path, outputs=3)
    with pytest.raises(ConfigurationError, match="is not a cross-encoder that can be used"):
        CrossEncoder(tmp_path)


def test_a_hub_id_needs_the_hubs_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert is_hub_id("owner/model") and not is_hub_id(str(tmp_path))
    assert model_directory(str(tmp_path), None) == tmp_path
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ConfigurationError, match="huggingface_hub is not installed"):
        model_directory("owner/model", None)


def test_a_hub_id_without_a_hub_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")

    def offline(*_: object, **__: object) -> str:
        raise ConnectionError("no route")

    monkeypatch.setattr(hub, "snapshot_download", offline)
    with pytest.raises(ConfigurationError, match=r"owner/model cannot be downloaded \(ConnectionError\)"):
        model_directory("owner/model", None)


def test_scores_are_put_into_the_order_of_the_texts() -> None:
    assert scores_of(b'[{"index": 1, "score": 0.9}, {"index": 0, "score": -2}]', 2) == [-2.0, 0.9]
    for wrong in (b"[]", b'[{"index": 0, "score": 1}, {"index": 5, "score": 1}]', b'{"error": "x"}', b"no"):
        with pytest.raises(RerankFailed):
            scores_of(wrong, 2)


class Model:
    """A chat model with one answer."""

    def __init__(self, answer: str | Exception) -> None:
        self.answer = answer
        self.bodies: list[dict[str, Any]] = []

    async def stream(self, body: dict[str, Any]) -> AsyncGenerator[ChatChunk, None]:
        self.bodies.append(body)
        if isinstance(self.answer, Exception):
            raise self.answer
        yield ChatChunk(self.answer, "stop")


async def test_a_models_order_becomes_scores() -> None:
    model = Model('{"ranking": [2, 0, 2, 9]}')
    scorer = LlmScorer(StructuredChat(model, 5), "tests/model")
    assert await scorer.score("q", ["a", "b", "c" * 5000]) == [0.5, 0.0, 1.0]
    assert scorer.reranker_id == "llm:tests/model:rerank_passages.v1"
    passages = json.loads(model.bodies[0]["messages"][1]["content"])["passages"]
    assert [(passage["number"], len(passage["text"])) for passage in passages] == [(0, 1), (1, 1), (2, 800)]


@pytest.mark.parametrize(
    "answer", ['{"ranking": []}', '{"ranking": [7]}', "first the second", ModelFailed("It broke.")]
)
async def test_a_model_without_an_order_is_a_failure(answer: str | Exception) -> None:
    with pytest.raises(RerankFailed):
        await LlmScorer(StructuredChat(Model(answer), 5), "m").score("q", ["a", "b"])


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"reranker": "cross-encoder"}, "RERANKER_MODEL is wrong: .*RERANKER=cross-encoder needs it"),
        ({"reranker": "tei"}, "RERANKER_URL is wrong: .*RERANKER=tei needs it"),
        ({"reranker": "sagemaker"}, "RERANKER_ENDPOINT_NAME is wrong: .*RERANKER=sagemaker needs it"),
        ({"reranker_url": "http://x"}, "RERANKER_URL is wrong: .*belongs to RERANKER=tei, but RERANKER is blend"),
        ({"reranker": "tei", "reranker_url": "x:1"}, "RERANKER_URL is wrong"),
        ({"reranker": "best"}, "RERANKER is wrong"),
    ],
)
def test_a_wrong_combination_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], sentence: str
) -> None:
    for name, value in {**BASE, **given}.items():
        monkeypatch.setenv(name.upper(), str(value))
    with pytest.raises(ConfigurationError, match=sentence):
        RetrievalSettings.load()


async def test_the_factory_opens_what_is_configured(tmp_path: Path, pool: CpuPool) -> None:
    async def open_(chat: Any = None, **given: str) -> Scorer | None:
        settings = RetrievalSettings(**BASE, **given)
        check_scorer(settings)
        async with AsyncExitStack() as stack:
            return await open_scorer(settings, pool, chat, "m", stack)

    write_cross_encoder(tmp_path)
    found = [
        await open_(reranker="cross-encoder", reranker_model=str(tmp_path)),
        await open_(reranker="tei", reranker_url="http://127.0.0.1:9"),
        await open_(Model("{}"), reranker="llm"),
    ]
    assert [scorer.reranker_id for scorer in found if scorer] == [
        f"cross-encoder:{tmp_path.name}",
        "tei:http://127.0.0.1:9",
        "llm:m:rerank_passages.v1",
    ]
    assert await open_() is None
    with pytest.raises(ConfigurationError, match="UNDERSTANDING_ENDPOINT_NAME is not set: RERANKER=llm"):
        await open_(reranker="llm")
    with pytest.raises(ConfigurationError, match="is not a directory"):
        await open_(reranker="cross-encoder", reranker_model=str(tmp_path / "gone"))


async def test_a_scorer_that_keeps_failing_is_left_alone(pool: CpuPool) -> None:
    scorer = Longest(RerankFailed("It is down."))
    guarded = GuardedScorer(scorer, CircuitBreaker("reranker", (RerankFailed,), failures=2))
    reranking = Reranking(pool, guarded)
    hits = [hit("a"), hit("b")]
    reasons = [(await reranking.rank("q", RIGHT, hits, top_k=2)).degraded for _ in range(4)]
    assert len(scorer.asked) == 2
    assert reasons[:2] == ["It is down."] * 2
    assert all("left alone" in (reason or "") for reason in reasons[2:])
