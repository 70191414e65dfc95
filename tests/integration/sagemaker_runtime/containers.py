"""Small model containers over real sockets; each request says in its body how the container shall behave."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ModelContainer(ThreadingHTTPServer):
    """`/invocations` of one copy; remembers what reached it and how many requests are in flight."""

    daemon_threads = True

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.name = name
        self.requests: list[dict[str, Any]] = []
        self.lost_caller = threading.Event()
        self.started = threading.Semaphore(0)
        self.release = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> ModelContainer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self.shutdown()
        self.server_close()
        self._thread.join(timeout=5)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Suppress stack traces, since tests disconnect on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ModelContainer

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.loads(raw)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append({"path": self.path, "headers": headers, "size": len(raw)})
        self.server.started.release()
        getattr(self, f"_{body['behave']}")(body)

    def _echo(self, body: dict[str, Any]) -> None:
        self._send(200, json.dumps({"container": self.server.name, "echo": body}).encode())

    def _fail(self, body: dict[str, Any]) -> None:
        self._send(body["status"], body["text"].encode(), "text/plain")

    def _wait(self, body: dict[str, Any]) -> None:
        self.server.release.wait(30)
        self._echo(body)

    def _crash(self, _: dict[str, Any]) -> None:
        self._send_nothing()

    def _stream(self, body: dict[str, Any]) -> None:
        self._open_stream()
        for piece in body["pieces"]:
            self._chunk(piece.encode())
            time.sleep(body.get("pause", 0.0))
        self._chunk(b"")

    def _stream_then_crash(self, body: dict[str, Any]) -> None:
        self._open_stream()
        self._chunk(body["piece"].encode())
        self._send_nothing()

    def _stream_until_lost(self, _: dict[str, Any]) -> None:
        self._open_stream()
        try:
            while not self.server.release.is_set():
                self._chunk(b"data: more\n\n")
                time.sleep(0.02)
        except OSError:
            self.server.lost_caller.set()
            self.close_connection = True

    def _wait_until_lost(self, _: dict[str, Any]) -> None:
        self.connection.settimeout(30)
        with suppress(OSError):
            if self.connection.recv(1) == b"":
                self.server.lost_caller.set()
        self.close_connection = True

    def _open_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _send_nothing(self) -> None:
        self.close_connection = True
        self.connection.close()

    def _send(self, status: int, content: bytes, content_type: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        custom = self.headers.get("X-Amzn-SageMaker-Custom-Attributes")
        if custom:
            self.send_header("X-Amzn-SageMaker-Custom-Attributes", custom)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test output readable."""
