"""The RAG service with the models that help it to retrieve, all over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from localcloud.sagemaker_runtime.limits import RuntimeLimits
from localcloud.sagemaker_runtime.routing import EndpointRoute, RoutingTable
from services.common.tls import authorities
from services.rag.app import create_app
from services.rag.embeddings.pool import CpuPool, EmbeddingModel
from services.rag.ingest.run import ingest
from services.rag.settings import RagSettings
from services.rag.stores.factory import open_store
from tests.aws import aws_environment
from tests.integration.rag.fakes import KEY, Cloud, Opik, Server, WordEmbedder
from tests.integration.rag.local_servers import PATIENCE_SECONDS, qdrant
from tests.integration.sagemaker_runtime.conftest import serve

ANSWER = "It is the weights [1]."
SLOW_SECONDS = 3.0


class Model(Server):
    """A container behind an endpoint, and a re-ranking server: chat completions and `/rerank` bodies.

    `mode` says how it helps to retrieve; questions of callers are always answered.
    """

    def __init__(self) -> None:
        self.mode = "ok"
        self.asked: list[dict[str, Any]] = []
        self.understood: dict[str, Any] = {}
        super().__init__()

    def handle(self, request: Any, body: dict[str, Any]) -> tuple[int, Any, dict[str, str]] | None:
        if "texts" in body:
            return self._scores(body)
        question = _question(body["messages"][-1]["content"])
        if question is None:
            return _stream(request, ANSWER)
        self.asked.append(question)
        if self.mode == "fail":
            return 500, {"error": "out of memory"}, {}
        if self.mode == "slow":
            time.sleep(SLOW_SECONDS)
        return _stream(request, "Let me think." if self.mode == "invalid" else json.dumps(self._understood(question)))

    def _understood(self, question: dict[str, Any]) -> dict[str, Any]:
        if "passages" in question:
            return {"ranking": [passage["number"] for passage in reversed(question["passages"])]}
        if "number" in question:
            return {"rephrasings": ["queue without an alarm"]}
        return {"authors": ["ben marsh"], "after": None, "before": None}

    def _scores(self, body: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        self.asked.append(body)
        if self.mode == "fail":
            return 500, {"error": "out of memory"}, {}
        if self.mode == "slow":
            time.sleep(SLOW_SECONDS)
        if self.mode == "invalid":
            return 200, {"scores": [1]}, {}
        # The last one of the blend is the best, as no other order would have it.
        return 200, [{"index": index, "score": float(index)} for index, _ in enumerate(body["texts"])], {}


def _question(content: str) -> dict[str, Any] | None:
    """What retrieval asks is JSON; what callers ask is not."""
    try:
        parsed = json.loads(content)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _stream(request: Any, text: str) -> None:
    request.send_response(200)
    request.send_header("Content-Type", "text/event-stream")
    request.send_header("Connection", "close")
    request.end_headers()
    half = len(text) // 2
    for piece in (text[:half], text[half:]):
        request.wfile.write(f"data: {json.dumps({'choices': [{'delta': {'content': piece}}]})}\n\n".encode())
    request.wfile.write(b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n')
    request.close_connection = True


class RetrievalWorld:
    """Store, model, runtime and monitoring; starts RAG services with settings of a test's choice."""

    def __init__(self, qdrant_url: str, model: Model, opik: Opik, cloud: Cloud) -> None:
        self.qdrant_url, self.model, self.opik, self.cloud = qdrant_url, model, opik, cloud

    def settings(self, **given: Any) -> RagSettings:
        return RagSettings(
            **{
                "stage": "test",
                "release": "r1",
                "llm_endpoint_name": "twin",
                "llm_model_id": "test/model",
                "llm_timeout_seconds": 60,
                "qdrant_url": self.qdrant_url,
                "qdrant_timeout_seconds": PATIENCE_SECONDS,
                "embedding_model_dir": Path("unused"),
                "opik_url_override": f"{self.opik.url}/api",
                "traces_per_second": 100,
                "samples_queue_url": f"{self.cloud.url}/000000000000/samples",
                "api_keys_secret_arn": "arn:aws:secretsmanager:eu-west-1:1:secret:keys",
                "requests_per_minute": 100_000,
                **given,
            }
        )

    @contextlib.contextmanager
    def service(self, embedder: EmbeddingModel | None = None, **given: Any) -> Iterator[httpx.Client]:
        """A client of a service that runs with these settings."""
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        app = create_app(self.settings(**given), embedder or WordEmbedder())
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 60
        while not server.started:
            assert thread.is_alive() and time.monotonic() < deadline, "the service did not start"
            time.sleep(0.02)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        headers = {"Authorization": f"Bearer {KEY}"}
        try:
            with httpx.Client(
                base_url=url, headers=headers, timeout=60, trust_env=False, verify=authorities()
            ) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(30)
            listener.close()
        assert not thread.is_alive()

    def ask(self, query: str, **given: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """The answer of a service that runs with these settings, its trace, and the trace's spans by name."""
        with self.service(**given) as client:
            response = client.post("/rag", json={"query": query})
        # The service has ended: it does not wait for more traces to send this one with.
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        assert answer["answer"] == ANSWER
        trace, spans = self.opik.wait_for(answer["trace_id"], 60)
        return answer, trace, {span["name"]: span for span in spans}


@contextlib.contextmanager
def retrieval_world(corpus: Path, folder: Path) -> Iterator[RetrievalWorld]:
    """Start everything but the RAG service, and fill the store."""
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        store = stack.enter_context(qdrant(folder / "qdrant"))
        model, opik, cloud = Model(), Opik(), Cloud()
        for server in (model, opik, cloud):
            stack.callback(server.stop)
        table = RoutingTable()
        for name in ("twin", "helper", "reranker"):
            table.set_endpoint(EndpointRoute(name, "AllTraffic", (model.url,)))
        runtime = stack.enter_context(serve(table, RuntimeLimits()))
        environment = aws_environment(cloud.url, "eu-west-1") | {"AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": runtime}
        for name, value in environment.items():
            patch.setenv(name, value)
        world = RetrievalWorld(store, model, opik, cloud)
        asyncio.run(_fill(corpus, world.settings()))
        yield world


async def _fill(corpus: Path, settings: RagSettings) -> None:
    pool = CpuPool(WordEmbedder(), 1)
    store = open_store(settings, pool.model_id, pool.dimension)
    await ingest(corpus, store, pool)
    await store.close()
    pool.close()
