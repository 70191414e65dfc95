"""The RAG service as a process, over the local Qdrant with the documents of two tenants, for attacks."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from localcloud.ports import free_port
from localcloud.process import answers
from services.common.embedding import Embedder
from services.rag.embeddings.pool import CpuPool
from services.rag.ingest.run import ingest
from services.rag.settings import StoreSettings
from services.rag.stores.factory import open_store
from tests.attacks.wire import Request
from tests.aws import aws_environment
from tests.integration.rag.fakes import Cloud, Opik
from tests.integration.rag.local_servers import PATIENT, qdrant

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0
KEY = "key-of-the-attacks"
LIMITS = {"key-of-one": 1, "key-of-three": 3, "key-of-seven": 7}
"""Keys with requests per minute of their own."""
OWN, OTHER = "own-tenant", "other-tenant"
ADA, BEN, EVE = "Ada Quill", "Ben Marsh", "Eve Stone"
"""Authors: two of the service's tenant, one of another."""
MARKERS = {ADA: "amber-lantern-11", BEN: "cobalt-meadow-23", EVE: "violet-harbour-41"}
"""A word in each author's document that stands nowhere else."""


@dataclass(frozen=True)
class Target:
    """A server to attack, and what its owner knows about it."""

    url: str
    key: str
    cloud: Cloud
    process: psutil.Process
    log: Path

    @property
    def authorization(self) -> tuple[str, str]:
        return ("Authorization", f"Bearer {self.key}")

    def post(self, path: str, body: Any, *headers: tuple[str, str]) -> Request:
        """A request with the key and a JSON body."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = headers if any(name == "Content-Type" for name, _ in headers) else (*headers, JSON)
        return Request("POST", path, (self.authorization, *given), content)


JSON = ("Content-Type", "application/json")


@contextlib.contextmanager
def service(folder: Path, embedding_model: Path) -> Iterator[Target]:
    """The running service; `folder` keeps its data and its log."""
    with contextlib.ExitStack() as stack:
        cloud, opik = Cloud(), Opik()
        for server in (cloud, opik):
            stack.callback(server.stop)
        cloud.secret = json.dumps({"keys": [_record(KEY), *(_record(key, n) for key, n in LIMITS.items())]})
        qdrant_url = stack.enter_context(qdrant(folder / "qdrant"))
        for tenant, authors in ((OWN, (ADA, BEN)), (OTHER, (EVE,))):
            asyncio.run(_fill(folder / tenant, authors, qdrant_url, embedding_model, tenant))
        port, log = free_port(), folder / "log"
        environment = {
            "PATH": os.environ["PATH"],
            **aws_environment(cloud.url, "eu-west-1"),
            **PATIENT,
            "STAGE": "test",
            "RELEASE": "r1",
            "PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "TENANT": OWN,
            "LLM_ENDPOINT_NAME": "twin",
            "LLM_MODEL_ID": "test/model",
            "QDRANT_URL": qdrant_url,
            "EMBEDDING_MODEL_DIR": str(embedding_model),
            "OPIK_URL_OVERRIDE": f"{opik.url}/api",
            "SAMPLES_QUEUE_URL": f"{cloud.url}/1/samples",
            "API_KEYS_SECRET_ARN": "arn:keys",
            "REQUESTS_PER_MINUTE": "100000",
        }
        file = stack.enter_context(log.open("wb"))
        process = subprocess.Popen(
            [sys.executable, "-m", "services.rag"], env=environment, cwd=ROOT, stdout=file, stderr=file
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        deadline = time.monotonic() + START_SECONDS
        while not answers(f"http://127.0.0.1:{port}/healthz"):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield Target(f"http://127.0.0.1:{port}", KEY, cloud, psutil.Process(process.pid), log)


def _record(key: str, requests_per_minute: int | None = None) -> dict[str, Any]:
    limit = {} if requests_per_minute is None else {"requests_per_minute": requests_per_minute}
    return {"name": f"owner-{len(key)}", "sha256": hashlib.sha256(key.encode()).hexdigest(), **limit}


async def _fill(folder: Path, authors: tuple[str, ...], url: str, model: Path, tenant: str) -> None:
    """Write a document of each author for a tenant, about the same subject."""
    for author in authors:
        file = folder / "articles" / author / "timeouts.md"
        file.parent.mkdir(parents=True)
        text = f"The health check timeout is long: the weights load slowly. {MARKERS[author]}"
        file.write_text(f"---\ntitle: Timeouts\nauthor: {author}\n---\n# Timeouts\n{text}\n", encoding="utf-8")
    settings = StoreSettings(qdrant_url=url, embedding_model_dir=model, tenant=tenant, qdrant_timeout_seconds=20)
    pool = CpuPool(Embedder(model), 1)
    store = open_store(settings, pool.model_id, pool.dimension)
    await ingest(folder, store, pool)
    await store.close()
    pool.close()
