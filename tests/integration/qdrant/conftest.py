"""A server of our own per test session, or the one that QDRANT_CONTRACT_URL names."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from qdrant_client import QdrantClient, models

from localcloud.ports import free_port
from localcloud.process import answers
from tests.worker_groups import share_worker

START_SECONDS = 30.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    share_worker(items, Path(__file__).parent)


class Server:
    """A server process over a folder; can be killed and started again on the same port."""

    def __init__(self, data: Path, **variables: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data = data
        self._variables = variables
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """Command that starts it."""
        where = ["--host", "127.0.0.1", "--port", str(self.port), "--data", str(self.data)]
        return [sys.executable, "-m", "localcloud.qdrant", *where]

    def start(self) -> None:
        """Start and wait until it is ready."""
        self._process = subprocess.Popen(self.command(), env={**os.environ, **self._variables})
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self._process.poll() is None, "the server ended while starting"
            if answers(f"{self.url}/readyz", 2):
                return
            time.sleep(0.05)
        self.end(signal.SIGKILL)
        raise AssertionError("the server did not get ready")

    def end(self, number: signal.Signals) -> int:
        """Send a signal, wait, and return the exit status."""
        assert self._process is not None
        self._process.send_signal(number)
        try:
            return self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise


@pytest.fixture(scope="session")
def contract_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the tested server: any real Qdrant, or one that is started here."""
    if url := os.environ.get("QDRANT_CONTRACT_URL"):
        yield url
        return
    server = Server(tmp_path_factory.mktemp("qdrant"))
    server.start()
    yield server.url
    server.end(signal.SIGTERM)


@pytest.fixture(scope="session")
def client(contract_url: str) -> Iterator[QdrantClient]:
    """The unmodified client over REST."""
    opened = connect(contract_url, os.environ.get("QDRANT_CONTRACT_API_KEY"))
    yield opened
    opened.close()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server that the test may kill."""
    server = Server(tmp_path / "data")
    server.start()
    yield server
    server.end(signal.SIGKILL)


@pytest.fixture
def collection(client: QdrantClient) -> Iterator[str]:
    """An empty collection with the project's vectors, in four dimensions."""
    name = f"contract-{uuid4().hex[:8]}"
    create(client, name)
    yield name
    client.delete_collection(name)


def connect(url: str, api_key: str | None = None) -> QdrantClient:
    """A client that leaves inference to the server."""
    return QdrantClient(
        url=url, api_key=api_key, timeout=20, prefer_grpc=False, cloud_inference=True, check_compatibility=False
    )


def create(client: QdrantClient, name: str) -> None:
    """A collection as the store makes it."""
    client.create_collection(
        name,
        vectors_config={"dense": models.VectorParams(size=4, distance=models.Distance.COSINE)},
        sparse_vectors_config={"bm25": models.SparseVectorParams(modifier=models.Modifier.IDF)},
        metadata={"embedding_model_id": "tests/model", "dimension": 4},
    )
    for field in ("author", "tenant"):
        client.create_payload_index(name, field, models.PayloadSchemaType.KEYWORD, wait=True)


def point(key: int | str, dense: list[float], text: str, **payload: object) -> models.PointStruct:
    """A point with a dense vector and a text for the server to infer from."""
    vector = {"dense": dense, "bm25": models.Document(text=text, model="qdrant/bm25")}
    return models.PointStruct(id=key, vector=vector, payload={"text": text, **payload})
