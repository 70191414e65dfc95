"""`GET /`: the chat page and its files, which are part of the package and public."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request
from starlette.responses import Response

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # File names do not change with their content, so a browser revalidates each time and mostly gets 304.
    "Cache-Control": "no-cache",
}
_MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_FOLDER = resources.files("services.rag") / "page"
_DOCUMENT = "index.html"


@dataclass(frozen=True)
class _File:
    """A file of the page as it is sent."""

    content: bytes
    media_type: str
    etag: str


def _read(file: Traversable) -> _File:
    content = file.read_bytes()
    media_type = _MEDIA_TYPES[_suffix(file)]
    return _File(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def _suffix(file: Traversable) -> str:
    return file.name.rpartition(".")[2]


def _path(file: Traversable) -> str:
    return "/" if file.name == _DOCUMENT else f"/static/{file.name}"


_SERVED = {_path(file): _read(file) for file in _FOLDER.iterdir() if _suffix(file) in _MEDIA_TYPES}


async def _send(request: Request) -> Response:
    file = _SERVED[request.url.path]
    headers = {**HEADERS, "ETag": file.etag}
    if _matches(request.headers.get("if-none-match", ""), file.etag):
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers=headers, media_type=file.media_type)


def _matches(condition: str, etag: str) -> bool:
    """Whether an `If-None-Match` names the file; a proxy that compresses marks the tag as weak."""
    return any(tag.strip().removeprefix("W/") in (etag, "*") for tag in condition.split(","))


router = APIRouter(include_in_schema=False)
for _served in sorted(_SERVED):
    router.add_route(_served, _send, methods=["GET", "HEAD"], include_in_schema=False)
