"""How the drill's callers classify what a server answers, over a real socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import sleep

import httpx
import pytest

from twin.local.faults.calls import HANG, NOT_ANSWERED, WHOLE, ask, rate
from twin.local.faults.promises import BROKEN_OFF

TOKEN = 'event: token\ndata: {"text": "Yes"}\n\n'
DONE = 'event: done\ndata: {"trace_id": "t", "degraded": []}\n\n'
CHUNK = 'data: {"choices": [{"delta": {"content": "Yes"}}]}\n\n'
LAST = 'data: {"choices": [{"delta": {}}], "trace_id": "t"}\n\n'
REFUSED = json.dumps({"error": {"code": "retrieval_unavailable"}})


@contextmanager
def serving(status: int, text: str, pause: float = 0.0) -> Iterator[httpx.Client]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("X-Trace-Id", "t")
            self.end_headers()
            with suppress(OSError):  # the caller gave up
                for line in text.splitlines(keepends=True):
                    self.wfile.write(line.encode())
                    sleep(pause)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        with httpx.Client(base_url=url, timeout=5, trust_env=False) as client:
            yield client
        server.shutdown()


@pytest.mark.parametrize(
    ("kind", "status", "text", "seen"),
    [
        ("rag stream", 200, TOKEN + DONE, WHOLE),
        ("rag stream", 200, TOKEN, BROKEN_OFF),
        ("rag stream", 200, DONE, BROKEN_OFF),
        ("rag stream", 200, f"{TOKEN}event: error\ndata: {REFUSED}\n\n", "retrieval_unavailable"),
        ("rag stream", 200, TOKEN + DONE.replace("[]", '["retrieval"]'), "degraded"),
        ("rag stream", 503, REFUSED, "retrieval_unavailable"),
        ("rag stream", 502, "Bad Gateway", "HTTP 502"),
        ("v1 stream", 200, f"{CHUNK}{LAST}data: [DONE]\n\n", WHOLE),
        ("v1 stream", 200, CHUNK + LAST, BROKEN_OFF),
        ("v1 stream", 200, f"{CHUNK}data: {REFUSED}\n\n", "retrieval_unavailable"),
        ("rag", 200, '{"answer": "Yes", "sources": [{}]}', WHOLE),
        ("rag", 200, '{"answer": "Yes", "sour', BROKEN_OFF),
        ("rag", 200, '{"answer": "", "sources": []}', BROKEN_OFF),
        ("rag", 504, REFUSED, "retrieval_unavailable"),
    ],
)
def test_an_answer_is_seen_as_what_it_is(kind: str, status: int, text: str, seen: str) -> None:
    with serving(status, text) as client:
        call = ask(client, kind, "Why?", 5, sample=True)
    assert (call.seen, call.trace_id, call.sampled) == (seen, "t", True)


def test_an_answer_that_goes_on_beyond_its_limit_is_a_hang() -> None:
    with serving(200, TOKEN * 10 + DONE, pause=0.05) as client:
        assert ask(client, "rag stream", "Why?", 0.3, sample=True).seen == HANG


def test_a_refused_connection_is_no_answer() -> None:
    with serving(200, "") as client:
        url = client.base_url
    with httpx.Client(base_url=url, timeout=5, trust_env=False) as late:
        assert ask(late, "rag", "Why?", 5, sample=True).seen == NOT_ANSWERED
        assert rate(late, "t").seen == NOT_ANSWERED


@pytest.mark.parametrize(("status", "text", "seen"), [(204, "", WHOLE), (503, REFUSED, "retrieval_unavailable")])
def test_a_rating_is_whole_when_it_was_accepted(status: int, text: str, seen: str) -> None:
    with serving(status, text) as client:
        assert rate(client, "t").seen == seen
