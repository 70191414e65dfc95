"""A small judge over a real socket: OpenAI's chat completions, a SageMaker container, and Bedrock's Converse."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from services.evaluation.judges.meter import Price

USAGE = (1000, 100)
"""Tokens in and out that every answer reports."""
PRICE = Price(input=2.0, output=10.0)
CALL_DOLLARS = PRICE.of(*USAGE)
VERDICTS = {
    "HallucinationResponseFormat": {"score": 0.25, "reason": ["one detail is new"]},
    "ModerationResponseFormat": {"score": 0.0, "reason": "harmless"},
    "AnswerRelevanceResponseFormat": {"answer_relevance_score": 0.9, "reason": "to the point"},
    "StyleVerdict": {"reason": "plain", "score": 2},
    "ContextVerdict": {"useful": [True, False], "reason": "the first one"},
}
"""A verdict of every shape that the metrics ask for, over two passages."""


@dataclass
class Reply:
    """Answer of the server: text of the model, or a bare status."""

    text: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


def by_shape(body: dict[str, Any], _number: int) -> Reply:
    """The verdict of the shape that is asked for."""
    return Reply(json.dumps(VERDICTS[body["response_format"]["json_schema"]["name"]]))


class JudgeServer(ThreadingHTTPServer):
    """Answers each request with what `script` makes of it; remembers requests and how many were in flight at once."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, script: Callable[[dict[str, Any], int], Reply]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script
        self.requests: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> JudgeServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join(timeout=5)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: JudgeServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            server.requests.append(body)
            server.paths.append(self.path)
            server.headers.append({name.lower(): value for name, value in self.headers.items()})
            number = len(server.requests)
            server.in_flight += 1
            server.most_in_flight = max(server.most_in_flight, server.in_flight)
        reply = server.script(body, number)
        with server.lock:
            server.in_flight -= 1
        content = (reply.body or json.dumps(self._message(reply.text))).encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _message(self, text: str) -> dict[str, Any]:
        if self.path.endswith("/converse"):
            return {
                "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
                "stopReason": "end_turn",
                "usage": {"inputTokens": USAGE[0], "outputTokens": USAGE[1], "totalTokens": sum(USAGE)},
                "metrics": {"latencyMs": 1},
            }
        return {
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": USAGE[0], "completion_tokens": USAGE[1], "total_tokens": sum(USAGE)},
        }

    def log_message(self, *_: object) -> None:
        """The test's output is the place for failures only."""
