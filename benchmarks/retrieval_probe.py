"""`python -m benchmarks.retrieval_probe REPEATS`: times of retrieval and its floor, as JSON on standard output.

The floor of a question is one embedding of it, followed by the queries that the service sends to Qdrant for it, all at
once, as prepared bytes on open connections, with answers that are not parsed. A recorder between the service and Qdrant
records those queries beforehand.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import uvloop
from aiohttp import web

from localcloud.ports import LOOPBACK
from localcloud.process import REPOSITORY
from services.common.embedding import Embedder
from services.common.tracing import Trace
from services.rag.embeddings.pool import CpuPool
from services.rag.pipeline.factory import open_retriever
from services.rag.pipeline.retrieve import Retriever
from services.rag.settings import RetrievalSettings
from services.rag.stores.factory import open_store

QUESTIONS = (REPOSITORY / "examples" / "questions.jsonl", REPOSITORY / "examples" / "retrieval.jsonl")
STEPS = ("embed", "search", "retriever.retrieve_top_k", "retriever.rerank")


class Recorder:
    """HTTP proxy in front of Qdrant that records queries.

    Attributes:
        queries: path and body of each recorded query.
    """

    def __init__(self, target: str) -> None:
        self.queries: list[tuple[str, bytes]] = []
        self._target = target

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve on a free port while the context is open; yields the address."""
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._forward)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, LOOPBACK, 0)
        await site.start()
        try:
            yield f"http://{LOOPBACK}:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def _forward(self, request: web.Request) -> web.Response:
        body, url = await request.read(), self._target + request.path_qs
        if request.path.endswith("/points/query"):
            self.queries.append((request.path_qs, body))
        async with (
            aiohttp.ClientSession() as session,
            session.request(request.method, url, data=body, headers=_json_headers()) as answer,
        ):
            return web.Response(body=await answer.read(), status=answer.status, content_type="application/json")


def _json_headers() -> dict[str, str]:
    return {"Content-Type": "application/json"}


async def measure(repeats: int) -> dict[str, Any]:
    """Milliseconds of the floor, of retrieval and of its steps, with one value per question and repetition.

    Raises:
        RuntimeError: Qdrant refused a recorded query.
    """
    settings = RetrievalSettings.load()
    questions = [json.loads(line)["query"] for file in QUESTIONS for line in file.read_text().splitlines()]
    embedder = Embedder(settings.embedding_model_dir)
    recorder = Recorder(settings.qdrant_url)
    found: dict[str, Any] = {"floor": [], "floor_embed": [], "retrieval": [], "steps": {step: [] for step in STEPS}}
    async with AsyncExitStack() as stack:
        pool = CpuPool(embedder, settings.embedding_threads)
        stack.callback(pool.close)
        recorded: dict[str, list[tuple[str, bytes]]] = {}
        async with recorder.serving() as address, AsyncExitStack() as recording:
            retriever = await _retriever(settings.model_copy(update={"qdrant_url": address}), pool, recording)
            for question in questions:
                recorder.queries = []
                await retriever.retrieve(question, None, Trace("recorded").span("root"))
                recorded[question] = recorder.queries
        retriever = await _retriever(settings, pool, stack)
        session = await stack.enter_async_context(aiohttp.ClientSession(settings.qdrant_url, headers=_json_headers()))
        await retriever.retrieve(questions[0], None, Trace("warm").span("root"))
        for question in questions * repeats:
            started = time.perf_counter()
            await pool.embed([question])
            embedded = time.perf_counter()
            await asyncio.gather(*(_send(session, path, body) for path, body in recorded[question]))
            ended = time.perf_counter()
            found["floor"].append((ended - started) * 1000)
            found["floor_embed"].append((embedded - started) * 1000)
            trace = Trace("measured")
            started = time.perf_counter()
            await retriever.retrieve(question, None, trace.span("root"))
            found["retrieval"].append((time.perf_counter() - started) * 1000)
            for step in STEPS:
                spent = [span.duration_ms for span in trace.spans if span.name == step]
                found["steps"][step].append(max(spent, default=0.0))
    found["queries"] = sum(len(queries) for queries in recorded.values()) / len(questions)
    return found


async def _retriever(settings: RetrievalSettings, pool: CpuPool, stack: AsyncExitStack) -> Retriever:
    store = open_store(settings, pool.model_id, pool.dimension)
    stack.push_async_callback(store.close)
    return await open_retriever(settings, store, pool, None, lambda dependency, state: None, stack)


async def _send(session: aiohttp.ClientSession, path: str, body: bytes) -> None:
    async with session.post(path, data=body) as answer:
        if answer.status != 200:
            raise RuntimeError(f"Qdrant answered a recorded query with status {answer.status}.")
        await answer.read()


def main() -> None:
    """Measure, and write the result to standard output."""
    os.environ.setdefault("QDRANT_TIMEOUT_SECONDS", "30")
    json.dump(uvloop.run(measure(int(sys.argv[1]))), sys.stdout)


if __name__ == "__main__":
    main()
