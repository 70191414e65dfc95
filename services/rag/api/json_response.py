"""Answers that are sent in one piece."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

from fastapi import Request
from starlette.responses import JSONResponse, Response

from services.rag.api.errors import describe
from services.rag.api.sse import unless_disconnected
from services.rag.conversation import ClientDisconnected


async def whole_answer(
    request: Request, work: Coroutine[Any, Any, dict[str, Any]], headers: Mapping[str, str]
) -> Response:
    """The finished answer, or the error that came instead, with the headers in either case.

    Args:
        request: whose disconnect cancels the work.
        work: makes the body.
        headers: go with every response.

    Raises:
        ClientDisconnected: the caller went away.
    """
    try:
        answer = await unless_disconnected(request.receive, work)
    except ClientDisconnected:
        raise
    except Exception as error:  # noqa: BLE001 - described, logged, one shape; the trace id goes with it
        response = describe(error).response()
        response.headers.update(headers)
        return response
    return JSONResponse(answer, headers=dict(headers))
