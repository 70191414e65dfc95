"""Servers behind the page: the real service over a model that waits for cues, and a service that plays a script."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from services.rag.api.protocol.rag_codec import frame
from services.rag.api.routes import page
from services.rag.app import create_app
from services.rag.embeddings.pool import CpuPool
from services.rag.ingest.run import ingest
from services.rag.settings import RagSettings
from services.rag.stores.factory import open_store
from tests.asgi_server import serving
from tests.aws import aws_environment
from tests.integration.rag.fake_qdrant import Qdrant
from tests.integration.rag.fakes import KEY, Cloud, Opik, WordEmbedder

CUE_SECONDS = 30.0
# A key that may ask once per minute.
SLOW_KEY = "slow-key"


class Model(Cloud):
    """AWS with a model that sends `pieces`, each on a cue when `waits` is set, and breaks off before `breaks_at`."""

    def __init__(self) -> None:
        self.reset()
        super().__init__()
        keys = [
            {"name": "tests", "sha256": hashlib.sha256(KEY.encode()).hexdigest(), "requests_per_minute": 10_000},
            {"name": "slow", "sha256": hashlib.sha256(SLOW_KEY.encode()).hexdigest(), "requests_per_minute": 1},
        ]
        self.secret = json.dumps({"keys": keys})

    def reset(self) -> None:
        self.mode = "ok"
        self.pieces = ["The timeout ", "covers the ", "weights."]
        self.waits = False
        self.breaks_at = -1
        self._cues = threading.Semaphore(0)

    def cue(self, count: int = 1) -> None:
        """Let the model send its next pieces."""
        self._cues.release(count)

    def _write_answer(self, part: Any, write: Any, request: Any) -> None:
        for number, piece in enumerate(self.pieces):
            if self.waits and not self._cues.acquire(timeout=CUE_SECONDS):
                raise TimeoutError("the model got no cue")
            if number == self.breaks_at:
                request.connection.shutdown(socket.SHUT_RDWR)
                raise ConnectionAbortedError
            part(f"data: {json.dumps({'choices': [{'delta': {'content': piece}}]})}\n\n".encode())
        part(b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n')
        part(b'data: {"choices": [], "usage": {"prompt_tokens": 40, "completion_tokens": 6, "total_tokens": 46}}\n\n')
        part(b"data: [DONE]\n\n")


class ScriptedService:
    """A service with the page and a scripted `/rag`, for states that last minutes in a real service."""

    def __init__(self) -> None:
        self.reset()
        self.app = Starlette(routes=[*page.router.routes, Route("/rag", self._rag, methods=["POST"])])

    def reset(self) -> None:
        self._frames: list[bytes] = []
        self._ended = False

    def play(self, *events: tuple[str, dict[str, Any]]) -> None:
        """Send events now, to a stream that is open or to the next one."""
        self._frames += [frame(name, data) for name, data in events]

    def end(self) -> None:
        """Close the stream after what was played."""
        self._ended = True

    async def _rag(self, _: Request) -> StreamingResponse:
        return StreamingResponse(self._stream(), media_type="text/event-stream")

    async def _stream(self) -> AsyncIterator[bytes]:
        deadline = time.monotonic() + CUE_SECONDS
        while time.monotonic() < deadline:
            while self._frames:
                yield self._frames.pop(0)
            if self._ended:
                return
            await asyncio.sleep(0.02)


@dataclass(frozen=True)
class Service:
    """The running RAG service."""

    url: str
    model: Model
    opik: Opik


@contextlib.contextmanager
def rag_service(corpus: Path, scratch: Path) -> Iterator[Service]:
    """The RAG service with a corpus; `scratch` is a directory for what it keeps."""
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        model, qdrant, opik = Model(), Qdrant(), Opik()
        for server in (model, qdrant, opik):
            stack.callback(server.stop)
        for name, value in aws_environment(model.url, "eu-west-1").items():
            patch.setenv(name, value)
        settings = RagSettings(
            stage="test",
            release="r1",
            llm_endpoint_name="twin",
            llm_model_id="test/model",
            llm_timeout_seconds=CUE_SECONDS * 2,
            qdrant_url=qdrant.url,
            embedding_model_dir=Path("unused"),
            opik_url_override=f"{opik.url}/api",
            traces_per_second=100,
            samples_queue_url=f"{model.url}/000000000000/samples",
            api_keys_secret_arn="arn:aws:secretsmanager:eu-west-1:1:secret:keys",
        )
        asyncio.run(_fill(corpus, settings))
        url = stack.enter_context(serving(create_app(settings, WordEmbedder())))
        yield Service(url, model, opik)


async def _fill(corpus: Path, settings: RagSettings) -> None:
    pool = CpuPool(WordEmbedder(), 1)
    store = open_store(settings, pool.model_id, pool.dimension)
    await ingest(corpus, store, pool)
    await store.close()
    pool.close()
