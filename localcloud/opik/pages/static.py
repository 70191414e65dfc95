"""Style sheet and icon of the pages, and the security headers of every answer to a browser."""

from __future__ import annotations

import hashlib
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
FOLDER = Path(__file__).parent / "static"
MEDIA_TYPES = {"pages.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}


def router() -> APIRouter:
    """Routes of the files; the ETag is a digest of the content, so that a browser gets 304 for what it has."""
    routes = APIRouter()
    for name, media_type in MEDIA_TYPES.items():
        _add(routes, name, media_type)
    return routes


def _add(routes: APIRouter, name: str, media_type: str) -> None:
    content = (FOLDER / name).read_bytes()
    headers = {**HEADERS, "ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"'}

    @routes.get(f"/static/{name}")
    def file(request: Request) -> Response:
        """Answer the file, or 304 when the browser has it."""
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=media_type)
