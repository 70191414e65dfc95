"""A forward proxy in place of the names that AWS gives load balancers: their requests go to the emulator."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@contextmanager
def name_service(port: int) -> Iterator[str]:
    """Address of a proxy that asks the emulator at `port` for the names of load balancers."""

    class Handler(BaseHTTPRequestHandler):
        """Hands a request on, and the answer back piece by piece."""

        def handle_any(self) -> None:
            """Any method."""
            address = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            name = str(address.hostname).partition(".")[0].rpartition("-")[0]
            headers = {key: value for key, value in self.headers.items() if key.lower() != "host"}
            emulator = HTTPConnection("127.0.0.1", port, timeout=300)
            target = f"{address.path or '/'}{'?' if address.query else ''}{address.query}"
            emulator.request(
                self.command, target, self.rfile.read(length), {**headers, "Host": f"{name}.alb.localhost"}
            )
            answer = emulator.getresponse()
            self.send_response(answer.status)
            for key, value in answer.getheaders():
                if key.lower() not in ("transfer-encoding", "connection", "content-length"):
                    self.send_header(key, value)
            self.send_header("Connection", "close")
            self.end_headers()
            while piece := answer.read1(65536):
                self.wfile.write(piece)
                self.wfile.flush()
            self.close_connection = True

        do_GET = do_POST = do_PUT = handle_any  # noqa: N815 - names of the library

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
