"""The server as an ASGI application: Qdrant's paths over an engine, whose blocking calls run in a thread pool."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel, TypeAdapter
from qdrant_client.http import models
from starlette.exceptions import HTTPException

from localcloud.qdrant import http, operations
from localcloud.qdrant.engine import Collection, Engine
from localcloud.qdrant.errors import QdrantError, engine_errors

T = TypeVar("T")

VERSION = "1.20.0"
"""Qdrant release whose REST interface this is; clients compare it with their own version."""
WORKERS = 4
"""Threads that run the engine's blocking calls."""


def create_app(engine: Engine, api_key: str | None = None, read_only_api_key: str | None = None) -> FastAPI:
    """Application over an engine, which it closes when it shuts down.

    Args:
        engine: the collections.
        api_key: required from every caller but on the health paths; None requires no key.
        read_only_api_key: accepted as well, for calls that change nothing.
    """
    pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="engine")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        """Close pool and engine when the application ends."""
        yield
        await asyncio.to_thread(pool.shutdown)  # running operations end before the files are closed
        engine.close()

    app = FastAPI(
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        exception_handlers={
            QdrantError: http.on_refusal,
            HTTPException: http.on_http_error,
            Exception: http.on_failure,
        },
    )
    routes = _Routes(engine, pool)
    app.include_router(_health())
    app.include_router(routes.collections())
    app.include_router(routes.points())
    if api_key or read_only_api_key:
        app.add_middleware(http.RequireKey, api_key=api_key, read_only_api_key=read_only_api_key)
    return app


def _health() -> APIRouter:
    router = APIRouter()

    async def root() -> Response:
        """Answer `GET /` with name and version."""
        return JSONResponse({"title": "qdrant - vector search engine", "version": VERSION})

    async def check() -> Response:
        """Answer the health paths with 200, as a server whose shards are loaded does."""
        return PlainTextResponse("all shards are ready")

    router.add_api_route("/", root, methods=["GET"])
    for path in ("/healthz", "/readyz", "/livez"):
        router.add_api_route(path, check, methods=["GET"])
    return router


class _SearchBatch(BaseModel, extra="forbid"):
    """The body of `points/query/batch`."""

    searches: list[models.QueryRequest]


class _Routes:
    def __init__(self, engine: Engine, pool: ThreadPoolExecutor) -> None:
        self._engine = engine
        self._pool = pool

    def collections(self) -> APIRouter:
        """Collections and their payload indexes."""
        router = APIRouter()
        router.add_api_route("/collections", self._list, methods=["GET"])
        path = "/collections/{name}"
        router.add_api_route(path, self._create, methods=["PUT"])
        router.add_api_route(path, self._get, methods=["GET"])
        router.add_api_route(path, self._drop, methods=["DELETE"])
        router.add_api_route(f"{path}/exists", self._exists, methods=["GET"])
        index = TypeAdapter(models.CreateFieldIndex)
        router.add_api_route(f"{path}/index", self._write(index, operations.create_index), methods=["PUT"])
        router.add_api_route(f"{path}/index/{{field:path}}", self._drop_index, methods=["DELETE"])
        return router

    def points(self) -> APIRouter:
        """Writing, reading and searching of points."""
        router = APIRouter(prefix="/collections/{name}")
        insert: TypeAdapter[models.PointInsertOperations] = TypeAdapter(models.PointInsertOperations)
        selector: TypeAdapter[models.PointsSelector] = TypeAdapter(models.PointsSelector)
        router.add_api_route("/points", self._write(insert, operations.upsert), methods=["PUT"])
        router.add_api_route("/points/delete", self._write(selector, operations.delete), methods=["POST"])
        reads: list[tuple[str, TypeAdapter[Any], Callable[[Collection, Any], Any]]] = [
            ("/points", TypeAdapter(models.PointRequest), operations.retrieve),
            ("/points/scroll", TypeAdapter(models.ScrollRequest), operations.scroll),
            ("/points/count", TypeAdapter(models.CountRequest), operations.count),
            ("/points/query", TypeAdapter(models.QueryRequest), operations.query),
            ("/points/query/batch", TypeAdapter(_SearchBatch), lambda c, r: operations.query_batch(c, r.searches)),
            ("/facet", TypeAdapter(models.FacetRequest), operations.facet),
        ]
        for path, adapter, operation in reads:
            router.add_api_route(path, self._read(adapter, operation), methods=["POST"])
        router.add_api_route("/points/{key}", self._point, methods=["GET"])
        return router

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def _list(self) -> Response:
        started = time.perf_counter()
        # In the pool, since the engine's lock may be held by a deletion that waits for a busy collection.
        names = await self._run(self._engine.names)
        return http.success({"collections": [{"name": name} for name in names]}, started)

    async def _get(self, name: str) -> Response:
        started = time.perf_counter()
        return http.success(await self._run(lambda: operations.describe(self._engine.get(name))), started)

    async def _exists(self, name: str) -> Response:
        started = time.perf_counter()
        return http.success({"exists": name in await self._run(self._engine.names)}, started)

    async def _create(self, name: str, request: Request) -> Response:
        started = time.perf_counter()
        asked = http.parse(await http.read_body(request), TypeAdapter(models.CreateCollection))
        await self._run(lambda: self._engine.create(name, asked))
        return http.success(True, started)

    async def _drop(self, name: str) -> Response:
        started = time.perf_counter()
        return http.success(await self._run(lambda: self._engine.delete(name)), started)

    async def _drop_index(self, name: str, field: str) -> Response:
        started = time.perf_counter()
        number = await self._run(lambda: operations.delete_index(self._engine.get(name), field))
        return http.success({"operation_id": number, "status": "completed"}, started)

    async def _point(self, name: str, key: str) -> Response:
        started = time.perf_counter()
        asked = models.PointRequest(ids=[int(key) if key.isdecimal() else key], with_payload=True, with_vector=True)
        found = await self._run(lambda: operations.retrieve(self._engine.get(name), asked))
        if not found:
            raise QdrantError(404, f"Not found: Point with id {key} does not exists!")
        return http.success(found[0], started)

    def _operate(self, name: str, operation: Callable[[Collection, Any], T], data: bytes, adapter: Any) -> T:
        with engine_errors():  # for values that the engine's own types refuse
            return operation(self._engine.get(name), http.parse(data, adapter))

    def _read(self, adapter: TypeAdapter[T], operation: Callable[[Collection, T], Any]) -> Callable[..., Any]:
        async def endpoint(name: str, request: Request) -> Response:
            """Run the read and answer its result; refusals are raised as `QdrantError`."""
            started = time.perf_counter()
            data = await http.read_body(request)
            return http.success(await self._run(lambda: self._operate(name, operation, data, adapter)), started)

        return endpoint

    def _write(self, adapter: TypeAdapter[T], operation: Callable[[Collection, T], int]) -> Callable[..., Any]:
        """A handler that answers once the operation is in the write-ahead log, also with `wait=false`."""

        async def endpoint(name: str, request: Request) -> Response:
            """Run the write and answer its number; refusals are raised as `QdrantError`."""
            started = time.perf_counter()
            data = await http.read_body(request)
            number = await self._run(lambda: self._operate(name, operation, data, adapter))
            return http.success({"operation_id": number, "status": "completed"}, started)

        return endpoint
