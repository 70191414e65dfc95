"""Request bodies and responses in the forms that the SDK uses."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Query, Request
from fastapi.responses import Response

from localcloud.gunzip import TooLargeError, gunzip
from localcloud.opik.database import Document

PRIVATE = "/api/v1/private"
"""Prefix of the API that the SDK calls."""
MAX_BODY_BYTES = 64 * 1024**2
"""Of a body once it is decompressed; the SDK sends batches of some megabytes."""


async def read_json(request: Request) -> Document:
    """The JSON object of the body, decompressed when `Content-Encoding` is gzip; empty for an empty body.

    Raises:
        HTTPException: 400 when the body is not a JSON object, 413 when it is larger than `MAX_BODY_BYTES`.
    """
    raw = await request.body()
    try:
        text = gunzip(raw, MAX_BODY_BYTES) if request.headers.get("content-encoding") == "gzip" else raw
        body = json.loads(text) if text else {}
    except TooLargeError as error:
        raise HTTPException(413, f"Too large: {error}.") from None
    except ValueError:
        raise HTTPException(400, "The body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise HTTPException(400, "The body must be a JSON object.")
    return body


Body = Annotated[Document, Depends(read_json)]
PageNumber = Annotated[int, Query(alias="page", ge=1)]


def created(path: str, id: str) -> Response:
    """201 with the address of the new document in `Location`, from which the SDK takes the id."""
    return Response(status_code=201, headers={"Location": f"{PRIVATE}/{path}/{id}"})


def no_content() -> Response:
    """204, without a body."""
    return Response(status_code=204)


def or_404(document: Document | None, what: str) -> Document:
    """`document` itself.

    Raises:
        HTTPException: 404 when it is None; `what` names its kind in the message.
    """
    if document is None:
        raise HTTPException(404, f"{what} not found")
    return document


def page(documents: Sequence[Document], number: int, size: int) -> Document:
    """Response with page `number` (from 1) of a list, `size` documents each; an empty page beyond the end."""
    content = list(documents[(number - 1) * size : number * size])
    return {"page": number, "size": len(content), "total": len(documents), "content": content}


def json_lines(documents: Iterable[Any]) -> Response:
    """Response with one JSON document per line, as the SDK reads streams."""
    content = "".join(f"{json.dumps(document)}\n" for document in documents)
    return Response(content, media_type="application/octet-stream")
