"""An HTTP server for what the emulator does not have: Service Quotas, the model hub, and services' rare answers.

Bodies have the shape of the services' own responses; numbers and names are the tests'.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PAGE = 2
"""Quotas per page, so that they are paged through."""


@dataclass
class Quotas:
    """Applied quotas, and defaults of those that were never changed."""

    applied: list[dict[str, Any]] = field(default_factory=list)
    defaults: list[dict[str, Any]] = field(default_factory=list)

    def put(self, service: str, code: str, name: str, value: float, *, default: bool = False) -> None:
        quotas = self.defaults if default else self.applied
        quotas[:] = [quota for quota in quotas if quota["QuotaCode"] != code]
        quotas.append({"ServiceCode": service, "QuotaCode": code, "QuotaName": name, "Value": value})

    def answer(self, operation: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        quotas = self.defaults if "Default" in operation else self.applied
        mine = [quota for quota in quotas if quota["ServiceCode"] == request["ServiceCode"]]
        if operation.startswith("List"):
            start = int(request.get("NextToken", 0))
            more = {"NextToken": str(start + PAGE)} if start + PAGE < len(mine) else {}
            return 200, {"Quotas": mine[start : start + PAGE], **more}
        found = [quota for quota in mine if quota["QuotaCode"] == request["QuotaCode"]]
        return (200, {"Quota": found[0]}) if found else (400, {"__type": "NoSuchResourceException", "message": "none"})


@dataclass
class Model:
    """A model on the hub."""

    revision: str
    config: dict[str, Any]
    parameters: dict[str, int]
    gated: str | bool = False
    readers: tuple[str, ...] = ()
    page: str = ""
    """What stands in for every answer: the page of a proxy."""


@dataclass
class Recorded:
    """What the server answers; tests change it."""

    quotas: Quotas = field(default_factory=Quotas)
    models: dict[str, Model] = field(default_factory=dict)
    queries: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Status and XML by action, for services of the query protocol (STS, SNS)."""
    operations: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Answers by operation, for services of the JSON protocol (ECS)."""
    paths: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    """Status and answer by path, for services of the REST protocol (Bedrock)."""
    seen: list[tuple[str, str]] = field(default_factory=list)
    """Path and Authorization header of requests to the hub."""
    url: str = ""


@contextmanager
def serving() -> Iterator[Recorded]:
    """The server on a free port of 127.0.0.1."""
    recorded = Recorded()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            target = self.headers.get("X-Amz-Target", "")
            if target.startswith("ServiceQuotas"):
                status, answer = recorded.quotas.answer(target.split(".")[1], json.loads(body))
                self._send(status, "application/x-amz-json-1.1", json.dumps(answer))
                return
            if target:
                answer = recorded.operations[target.split(".")[1]]
                self._send(200, "application/x-amz-json-1.1", json.dumps(answer))
                return
            action = parse_qs(body.decode()).get("Action", [""])[0]
            status, text = recorded.queries.get(action, (400, ""))
            self._send(status, "text/xml", text)

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if path in recorded.paths:
                status, answer = recorded.paths[path]
                refused = {"x-amzn-ErrorType": str(answer["__type"])} if "__type" in answer else None
                self._send(status, "application/json", json.dumps(answer), refused)
                return
            recorded.seen.append((path, self.headers.get("Authorization", "")))
            parts = path.removeprefix("/api/models").strip("/").split("/")
            name, revision = "/".join(parts[:2]), parts[3]
            model = recorded.models.get(name)
            if model is None:
                self._refuse(401, "RepoNotFound", "Invalid username or password.")
            elif model.revision != revision:
                self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            elif model.page:
                self._send(200, "text/html", model.page)
            elif path.startswith("/api/"):
                counted = {"parameters": model.parameters, "total": sum(model.parameters.values())}
                card = {"id": name, "gated": model.gated, "disabled": False, "safetensors": counted}
                self._send(200, "application/json", json.dumps(card))
            elif model.gated and self.headers.get("Authorization", "").removeprefix("Bearer ") not in model.readers:
                status = 403 if "Authorization" in self.headers else 401
                self._refuse(status, "GatedRepo", f"Access to model {name} is restricted.")
            else:
                self._send(200, "application/json", json.dumps(model.config))

        def _refuse(self, status: int, code: str, message: str) -> None:
            headers = {"X-Error-Code": code, "X-Error-Message": message}
            self._send(status, "application/json", json.dumps({"error": message}), headers)

        def _send(self, status: int, kind: str, text: str, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {**(headers or {}), "Content-Type": kind, "Content-Length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    recorded.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield recorded
    finally:
        server.shutdown()
        server.server_close()
