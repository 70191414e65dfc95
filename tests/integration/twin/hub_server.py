"""A model hub with one small repository: its list of files, downloads with ranges, and downloads that go wrong.

The shape of the list is that of the hub's own `/api/models/{id}/revision/{commit}?blobs=true`; large files are handed
out by another host, as the hub does it.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

MODEL, REVISION = "maker/tiny", "c" * 40
LARGE = 1000
"""From how many bytes on a file is kept as a large one, with its SHA-256."""


@dataclass
class Hub:
    """What the server holds and does; tests change it."""

    files: dict[str, bytes]
    reader: str = ""
    """A token; with one the repository is gated."""
    altered: dict[str, bytes] = field(default_factory=dict)
    """Files that are handed out otherwise than they are listed."""
    broken_at: dict[str, int] = field(default_factory=dict)
    """After how many bytes a download is cut off, once."""
    stalled_at: dict[str, int] = field(default_factory=dict)
    """After how many bytes a download stands still until the client is gone."""
    stalling: threading.Event = field(default_factory=threading.Event)
    gets: list[tuple[str, int]] = field(default_factory=list)
    """Path and first byte of every download."""
    lists: int = 0
    tokens: dict[str, str] = field(default_factory=dict)
    """Last Authorization header by host name."""
    url: str = ""


def sibling(path: str, content: bytes) -> dict[str, Any]:
    """A file as the hub lists it."""
    blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()
    entry: dict[str, Any] = {"rfilename": path, "blobId": blob, "size": len(content)}
    if len(content) >= LARGE:
        entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    return entry


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Hub]:
    """The server on a free port of 127.0.0.1."""
    hub = Hub(files)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            token = self.headers.get("Authorization", "")
            hub.tokens[self.headers["Host"].split(":")[0]] = token
            if path == f"/api/models/{MODEL}/revision/{REVISION}":
                hub.lists += 1
                siblings = [sibling(name, content) for name, content in hub.files.items()]
                self._send(json.dumps({"id": MODEL, "sha": REVISION, "gated": "auto", "siblings": siblings}).encode())
            elif path.startswith(f"/api/models/{MODEL}/"):
                self._refuse(404, "RevisionNotFound", "Invalid rev id")
            elif path.startswith("/cdn/"):
                self._content(path.removeprefix("/cdn/"))
            elif not path.startswith(f"/{MODEL}/resolve/{REVISION}/"):
                self._refuse(401, "RepoNotFound", "Invalid username or password.")
            elif hub.reader and token != f"Bearer {hub.reader}":
                self._refuse(403 if token else 401, "GatedRepo", f"Access to model {MODEL} is restricted.")
            else:
                name = path.removeprefix(f"/{MODEL}/resolve/{REVISION}/")
                if len(hub.files[name]) < LARGE:
                    self._content(name)
                    return
                self.send_response(302)
                self.send_header("Location", f"{hub.url.replace('127.0.0.1', 'localhost')}/cdn/{name}")
                self.send_header("Content-Length", "0")
                self.end_headers()

        def _content(self, name: str) -> None:
            content = hub.altered.get(name, hub.files[name])
            asked = self.headers.get("Range", "")
            first = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            hub.gets.append((name, first))
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(content) - first))
            self.end_headers()
            last = hub.broken_at.pop(name, None) or hub.stalled_at.get(name) or len(content)
            self.wfile.write(content[first:last])
            if name in hub.stalled_at:
                self.wfile.flush()
                hub.stalling.set()
                self.connection.settimeout(60)
                self.connection.recv(1)
            self.close_connection = last < len(content)

        def _refuse(self, status: int, code: str, message: str) -> None:
            self.send_response(status)
            for name, value in {"X-Error-Code": code, "X-Error-Message": message, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        def _send(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.05), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
