"""One running RAG service over real sockets, and the servers that it talks to."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from localcloud.ports import free_port
from localcloud.process import answers
from services.common.tls import authorities
from services.rag.app import create_app
from services.rag.embeddings.pool import CpuPool
from services.rag.ingest.run import ingest
from services.rag.settings import RagSettings
from services.rag.stores.factory import open_store
from tests.asgi_server import serving
from tests.aws import aws_environment
from tests.integration.rag.fake_qdrant import Qdrant
from tests.integration.rag.fakes import KEY, Cloud, Opik, WordEmbedder
from tests.integration.rag.local_servers import PATIENCE_SECONDS

T = TypeVar("T")

ROOT = Path(__file__).parents[3]

DOCUMENTS = {
    "articles/ada-quill/health.md": '---\ntitle: "Health checks"\nauthor: Ada Quill\nurl: https://ada.example/h\n---\n'
    "# Health checks\nThe health check timeout is long because the weights load slowly.\n",
    "posts/ben-marsh/queues.md": "---\nauthor: Ben Marsh\n---\n# Queues\nA dead letter queue keeps what nobody read.\n",
    "repositories/ada-quill/loader.md": "---\nauthor: Ada Quill\n---\n# Loader\n```python\nload(weights)\n```\n",
}


@dataclass
class World:
    """Everything a test needs."""

    url: str
    cloud: Cloud
    qdrant: Qdrant
    opik: Opik
    settings: RagSettings

    @property
    def environment(self) -> dict[str, str]:
        """What the platform gives a process: where AWS is, and who asks."""
        return aws_environment(self.cloud.url, "eu-west-1")

    def client(self, key: str | None = KEY) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False, verify=authorities())

    def at(self, url: str) -> World:
        """The same surroundings with another application in the middle."""
        return replace(self, url=url)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("corpus")
    for name, text in DOCUMENTS.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def running(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with contextlib.ExitStack() as stack:
        cloud, qdrant, opik = Cloud(), Qdrant(), Opik()
        for server in (cloud, qdrant, opik):
            stack.callback(server.stop)
        settings = RagSettings(
            stage="test",
            release="r1",
            llm_endpoint_name="twin",
            llm_inference_component_name="twin-model",
            llm_model_id="test/model",
            llm_timeout_seconds=PATIENCE_SECONDS,
            qdrant_url=qdrant.url,
            qdrant_timeout_seconds=PATIENCE_SECONDS,
            embedding_model_dir=Path("unused"),
            opik_url_override=f"{opik.url}/api",
            traces_per_second=100,
            samples_queue_url=f"{cloud.url}/000000000000/samples",
            api_keys_secret_arn="arn:aws:secretsmanager:eu-west-1:1:secret:keys",
            max_request_bytes=8192,
            wake_hold_seconds=20,
            wake_hold_silent_seconds=3,
            wake_max_held=20,
            requests_per_minute=100_000,
        )
        pool = CpuPool(WordEmbedder(), 1)
        asyncio.run(_fill(corpus, settings, pool))
        stack.callback(pool.close)
        world = World("", cloud, qdrant, opik, settings)
        with serving(create_app(settings, WordEmbedder()), world.environment) as url:
            yield world.at(url)


def another(world: World, **changes: Any) -> Any:
    """Another application beside the running one, with other settings."""
    return create_app(world.settings.model_copy(update=changes), WordEmbedder())


def eventually(look: Callable[[], T], seconds: float = 15) -> T:
    """What `look` returns, as soon as that is true."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return found


async def _fill(corpus: Path, settings: RagSettings, pool: CpuPool) -> None:
    store = open_store(settings, pool.model_id, pool.dimension)
    await ingest(corpus, store, pool)
    await store.close()


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port, data = free_port(), tmp_path_factory.mktemp("collector")
    process = subprocess.Popen(
        [sys.executable, "-m", "localcloud.opik", "--port", str(port), "--data", str(data)], cwd=ROOT
    )
    url = f"http://127.0.0.1:{port}/api"
    try:
        eventually(lambda: process.poll() is not None or answers(f"{url}/is-alive/ping"), 30)
        yield url
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def world(running: World) -> Iterator[World]:
    """The running service, with every fault of the last test undone."""
    running.cloud.mode, running.cloud.queue_up, running.qdrant.down = "ok", True, False
    running.opik.down, running.cloud.model = False, None
    running.cloud.aborted.clear()
    running.cloud.invocations.clear()
    running.qdrant.queries.clear()
    yield running
