"""One shape for every error: `{"error": {"code", "message", "request_id"}}`."""

from __future__ import annotations

import http
import logging
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from services.common.logging import request_id_var
from services.common.sagemaker import (
    EndpointNotFound,
    EndpointUnavailable,
    InvocationTimeout,
    ModelFailed,
    NoCapacity,
    StreamBroken,
    Throttled,
)
from services.rag.api.auth import KeysUnavailable
from services.rag.embeddings.pool import Overloaded
from services.rag.stores.documents import StoreMismatch, StoreUnavailable

logger = logging.getLogger(__name__)

# A model wakes in minutes: asking more often than this is of no use to anyone.
WAKING_RETRY_SECONDS = 30
BUSY_RETRY_SECONDS = 2


@dataclass(frozen=True)
class ApiError:
    """An error as a caller gets it."""

    status: int
    code: str
    message: str
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """The JSON body, with the id of the current request."""
        return {"error": {"code": self.code, "message": self.message, "request_id": request_id_var.get()}}

    def response(self) -> JSONResponse:
        """The HTTP response."""
        return JSONResponse(self.body(), self.status, self.headers)


_KNOWN: dict[type[Exception], tuple[int, str, int | None]] = {
    ModelFailed: (502, "llm_failed", None),
    StreamBroken: (502, "llm_stream_broken", None),
    NoCapacity: (503, "llm_no_capacity", WAKING_RETRY_SECONDS),
    EndpointNotFound: (503, "llm_endpoint_not_found", None),
    EndpointUnavailable: (503, "llm_unavailable", BUSY_RETRY_SECONDS),
    Throttled: (503, "llm_throttled", BUSY_RETRY_SECONDS),
    InvocationTimeout: (504, "llm_timeout", None),
    StoreUnavailable: (503, "retrieval_unavailable", BUSY_RETRY_SECONDS),
    StoreMismatch: (503, "retrieval_misconfigured", None),
    Overloaded: (503, "overloaded", BUSY_RETRY_SECONDS),
    KeysUnavailable: (503, "auth_unavailable", BUSY_RETRY_SECONDS),
}


def describe(error: Exception) -> ApiError:
    """The error for a caller. What is not known by type is logged in full and shown as an internal error."""
    known = _KNOWN.get(type(error))
    if known is None:
        logger.error("unexpected error", exc_info=error)
        return ApiError(500, "internal_error", "The service failed for a reason of its own; the log has the details.")
    status, code, retry_after = known
    logger.warning("request failed", extra={"code": code, "reason": str(error)})
    return ApiError(status, code, str(error), {"Retry-After": str(retry_after)} if retry_after else {})


def install(app: FastAPI) -> None:
    """Make the application answer with the one shape."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    for kind in _KNOWN:
        app.add_exception_handler(kind, _failed)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    wrong = "; ".join(f"{_where(problem)}: {problem['msg']}" for problem in problems)
    return ApiError(422, "invalid_request", f"The request is not valid: {wrong}.").response()


def _where(problem: dict[str, Any]) -> str:
    parts = [str(part) for part in problem["loc"][1:] if not isinstance(part, int)]
    return ".".join(parts) or "body"


async def _refused(_: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    phrase = http.HTTPStatus(status).phrase
    headers = dict(getattr(error, "headers", None) or {})
    return ApiError(status, phrase.lower().replace(" ", "_"), f"{phrase}.", headers).response()


async def _failed(_: Request, error: Exception) -> JSONResponse:
    return describe(error).response()
