"""The collector as an ASGI application."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

from localcloud.opik import pages
from localcloud.opik.routes import datasets, experiments, platform, prompts, traces
from localcloud.opik.store import Store

logger = logging.getLogger(__name__)


def create_app(data: Path, max_traces: int) -> FastAPI:
    """Application over `data`/opik.sqlite, which keeps at most `max_traces` traces.

    Bodies that lack a field or hold a wrong value are answered with 400 and a sentence.
    """
    store = Store(data / "opik.sqlite", max_traces)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        """Close the database when the application ends."""
        yield
        store.database.close()

    app = FastAPI(title="Opik-compatible collector", lifespan=lifespan, docs_url=None, redoc_url=None)
    for module in (platform, datasets, experiments, prompts, traces, pages):
        app.include_router(module.router(store))

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> JSONResponse:
        """Answer an HTTPException in the SDK's form of an error."""
        return _error(error.status_code, str(error.detail))

    @app.exception_handler(KeyError)
    async def missing_field(_: Request, error: KeyError) -> JSONResponse:
        """Answer 400 for a body without a field that the route reads."""
        return _error(400, f"The body lacks the field {error}.")

    @app.exception_handler(ValueError)
    async def invalid_value(_: Request, error: ValueError) -> JSONResponse:
        """Answer 400 for a value that the route cannot use."""
        return _error(400, str(error))

    return app


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"code": status, "message": message, "errors": [message]}, status)
