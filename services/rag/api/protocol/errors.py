"""One shape for every error: `{"error": {"message", "type", "param", "code", "request_id", "retry_after_seconds"}}`.

It is OpenAI's shape with two more fields, for clients of both interfaces.
"""

from __future__ import annotations

import http
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import Scope

from services.common.logging import concern_logger, request_id_var
from services.common.sagemaker import (
    EndpointNotFound,
    EndpointUnavailable,
    EndpointUpdating,
    InvocationTimeout,
    ModelFailed,
    NoCapacity,
    StreamBroken,
    Throttled,
)
from services.rag.api.protocol.request_body import MAX_NAMED
from services.rag.errors import BUSY_RETRY_SECONDS, RagError, RequestRefused

logger = concern_logger("api")

# A model wakes in minutes: asking more often than this is of no use.
WAKING_RETRY_SECONDS = 30
MAX_WHERE_CHARS = 200
"""Of the path to a wrong field, whose names come from the caller."""


@dataclass(frozen=True)
class ApiError:
    """An error in the shape that callers get; `retry_after_seconds` is None when asking again is of no use."""

    status: int
    code: str
    message: str
    headers: dict[str, str] = field(default_factory=dict)
    param: str | None = None
    retry_after_seconds: int | None = None

    @property
    def type(self) -> str:
        """OpenAI's name for the kind of error, which follows from the status."""
        return _TYPES.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")

    def body(self) -> dict[str, Any]:
        """The JSON body, with the id of the current request."""
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "param": self.param,
                "code": self.code,
                "request_id": request_id_var.get(),
                # In the body as well: an error that ends a stream has no headers.
                "retry_after_seconds": self.retry_after_seconds,
            }
        }

    def response(self) -> JSONResponse:
        """The HTTP response."""
        retry = {} if self.retry_after_seconds is None else {"Retry-After": str(self.retry_after_seconds)}
        return JSONResponse(self.body(), self.status, {**self.headers, **retry})


_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    429: "rate_limit_error",
    504: "timeout_error",
}

# Errors of the LLM's client, which knows nothing of HTTP: status, code and seconds to wait before asking again.
_LLM_ERRORS: dict[type, tuple[int, str, int | None]] = {
    ModelFailed: (502, "llm_failed", None),
    StreamBroken: (502, "llm_stream_broken", None),
    NoCapacity: (503, "llm_no_capacity", WAKING_RETRY_SECONDS),
    EndpointUpdating: (503, "llm_updating", WAKING_RETRY_SECONDS),
    EndpointNotFound: (503, "llm_endpoint_not_found", None),
    EndpointUnavailable: (503, "llm_unavailable", BUSY_RETRY_SECONDS),
    Throttled: (503, "llm_throttled", BUSY_RETRY_SECONDS),
    InvocationTimeout: (504, "llm_timeout", None),
}


def describe(error: Exception) -> ApiError:
    """The error for a caller: that of its nearest known base class.

    An unknown one is logged in full and shown as an internal error.
    """
    if isinstance(error, RequestRefused):
        return ApiError(error.status, error.code, str(error), param=error.param)
    known = _known(error)
    if known is None:
        logger.error("unexpected error", exc_info=error)
        return ApiError(500, "internal_error", "The service failed for a reason of its own; the log has the details.")
    status, code, retry_after = known
    logger.warning("request failed", extra={"code": code, "reason": str(error)})
    return ApiError(status, code, str(error), retry_after_seconds=retry_after)


def _known(error: Exception) -> tuple[int, str, int | None] | None:
    """Status, code and seconds to wait before asking again."""
    if isinstance(error, RagError):
        return error.status, error.code, error.retry_after_seconds
    return next((_LLM_ERRORS[kind] for kind in type(error).__mro__ if kind in _LLM_ERRORS), None)


def note_failure(scope: Scope, error: ApiError) -> None:
    """Note for metrics and log an error that came after the HTTP status was sent."""
    scope.setdefault("state", {})["failure"] = error


def install(app: FastAPI) -> None:
    """Make the application answer every error in this shape."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    for kind in (RagError, *_LLM_ERRORS):
        app.add_exception_handler(kind, _failed)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    sentences = list(dict.fromkeys(f"{_where(problem)}: {problem['msg']}" for problem in problems[: 10 * MAX_NAMED]))
    wrong = "; ".join((*sentences[:MAX_NAMED], *(("and more",) if len(sentences) > MAX_NAMED else ())))
    param = _where(problems[0]) if problems else None
    return ApiError(422, "invalid_request", f"The request is not valid: {wrong}.", param=param).response()


def _where(problem: dict[str, Any]) -> str:
    parts = [str(part) for part in problem["loc"][1:] if not isinstance(part, int)]
    return ".".join(parts)[:MAX_WHERE_CHARS] or "body"


async def _refused(_: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == http.HTTPStatus.BAD_REQUEST:
        # FastAPI answers 400 to bytes that are no text, or nest too deeply: for a caller the same as broken JSON.
        return ApiError(422, "invalid_request", "The request body cannot be read as JSON.", param="body").response()
    phrase = http.HTTPStatus(status).phrase
    headers = dict(getattr(error, "headers", None) or {})
    return ApiError(status, phrase.lower().replace(" ", "_"), f"{phrase}.", headers).response()


async def _failed(_: Request, error: Exception) -> JSONResponse:
    return describe(error).response()
