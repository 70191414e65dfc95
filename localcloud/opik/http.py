"""Bodies in, answers out, in the SDK's shapes."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Query, Request
from fastapi.responses import Response

from localcloud.opik.database import Document

PRIVATE = "/api/v1/private"


async def read_json(request: Request) -> Document:
    """The request's JSON object, unzipped when it says so.

    Raises:
        HTTPException: 400 with a sentence when it is none.
    """
    raw = await request.body()
    try:
        text = gzip.decompress(raw) if request.headers.get("content-encoding") == "gzip" else raw
        body = json.loads(text) if text else {}
    except (OSError, ValueError, EOFError):
        raise HTTPException(400, "The body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise HTTPException(400, "The body must be a JSON object.")
    return body


Body = Annotated[Document, Depends(read_json)]
PageNumber = Annotated[int, Query(alias="page", ge=1)]


def created(path: str, id: str) -> Response:
    """201 with the place of what was made."""
    return Response(status_code=201, headers={"Location": f"{PRIVATE}/{path}/{id}"})


def done() -> Response:
    """204."""
    return Response(status_code=204)


def found(document: Document | None, what: str) -> Document:
    """`document`, or 404."""
    if document is None:
        raise HTTPException(404, f"{what} not found")
    return document


def page(documents: Sequence[Document], number: int, size: int) -> Document:
    """One page of a list, counted from 1."""
    content = list(documents[(number - 1) * size : number * size])
    return {"page": number, "size": len(content), "total": len(documents), "content": content}


def lines(documents: Iterable[Any]) -> Response:
    """One JSON document a line."""
    content = "".join(f"{json.dumps(document)}\n" for document in documents)
    return Response(content, media_type="application/octet-stream")
