"""`twin ask` as a command, against a server that answers as the service does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from twin.app import app
from twin.target import api_client
from twin.target.errors import TwinError
from twin.target.stage import Stage

DONE = {"trace_id": "t1", "model": "m1"}


class Service:
    """Answers every question with `events` and keeps the headers of the last one."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.headers: dict[str, str] = {}
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                service.headers = dict(self.headers)
                self.rfile.read(int(self.headers["Content-Length"]))
                lines = [f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in service.events]
                text = "".join(lines).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    made = Service()
    local: Any = SimpleNamespace(ports={"aws": made.server.server_address[1]})
    stage = Stage("local", "us-east-1", {}, local)
    monkeypatch.setattr(api_client, "outputs", lambda _: {"ApiUrl": "https://x", "LoadBalancerName": "twin"})
    monkeypatch.setattr(api_client, "api_key", lambda _: "key")
    monkeypatch.setattr("twin.target.stage.connect", lambda _: stage)
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.mark.parametrize(("option", "sent"), [("--sample", None), ("--no-sample", "1")])
def test_an_answer_is_sampled_unless_the_caller_says_no(service: Service, option: str, sent: str | None) -> None:
    service.events = [("token", {"text": "Because."}), ("done", DONE)]
    done = CliRunner().invoke(app, ["ask", "Why?", option, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"answer": "Because.", "sources": [], **DONE}
    assert service.headers.get("X-No-Sample") == service.headers.get("X-Debug-Trace") == sent


@pytest.mark.parametrize(
    ("text", "sources", "sentence"),
    [(" ", [{"title": "T"}], "The answer has no text."), ("Because.", [], "The answer names no source.")],
)
def test_an_answer_without_text_or_wanted_sources_is_a_failure(
    service: Service, text: str, sources: list[dict[str, str]], sentence: str
) -> None:
    service.events = [("token", {"text": text}), ("sources", {"sources": sources}), ("done", DONE)]
    done = CliRunner().invoke(app, ["ask", "Why?", "--no-sample", "--require-sources", "--json"])
    assert isinstance(done.exception, TwinError) and str(done.exception) == sentence


def test_an_answer_that_breaks_off_is_a_failure(service: Service) -> None:
    service.events = [("token", {"text": "Beca"})]
    done = CliRunner().invoke(app, ["ask", "Why?", "--json"])
    assert isinstance(done.exception, TwinError) and "may be cut" in str(done.exception)


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>...", "502 Bad Gateway"),
        ("<TITLE>ERROR: The request could not be satisfied</TITLE>", "ERROR: The request could not be satisfied"),
        ("plain", "plain"),
    ],
)
def test_a_page_of_the_way_is_said_by_its_title(page: str, said: str) -> None:
    refused = api_client.RefusedError(httpx.Response(502, text=page))
    assert str(refused) == f"The way to the RAG service answered 502: {said}"
