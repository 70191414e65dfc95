"""The routes of GitHub's REST API that `twin` uses, over a real socket: one repository, one pull request."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

REPOSITORY = "octo-lab/llm-twin"
PULL_REQUEST = 7
TOKEN = "job-token"


@dataclass
class GitHubServer:
    """What the server knows of one repository, and what was asked of it.

    Attributes:
        comments: of the pull request, as GitHub's API shows them.
        policies: branches by environment.
        rules: protection rules by environment, besides the branches.
        forgets: whether a PUT takes the rules away.
        private: whether only members may read the repository.
        writes: method and path of each request that is no reading.
        refuse: the status that every request gets.
    """

    url: str = ""
    comments: list[dict[str, Any]] = field(default_factory=list)
    policies: dict[str, list[str]] = field(default_factory=dict)
    rules: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    forgets: bool = False
    private: bool = False
    variables: dict[str, str] = field(default_factory=dict)
    writes: list[tuple[str, str]] = field(default_factory=list)
    refuse: int | None = None

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if self.refuse:
            return self.refuse, {"message": "Resource not accessible by integration"}
        if method != "GET":
            self.writes.append((method, path))
        if found := re.fullmatch(rf"/issues/{PULL_REQUEST}/comments(?:\?per_page=(\d+)&page=(\d+))?", path):
            if method == "POST":
                return 201, self.add(body["body"], "Bot")
            size, page = int(found[1]), int(found[2])
            return 200, self.comments[(page - 1) * size : page * size]
        if found := re.fullmatch(r"/issues/comments/(\d+)", path):
            comment = next(each for each in self.comments if each["id"] == int(found[1]))
            comment["body"] = body["body"]
            return 200, comment
        if path == "":
            return 200, {"private": self.private}
        if found := re.fullmatch(r"/environments/(\w+)(/deployment-branch-policies)?", path):
            if not found[2]:
                return self.environment(method, found[1])
            known = self.policies[found[1]]
            if method == "POST":
                known.append(body["name"] if body["type"] == "branch" else f"{body['type']} {body['name']}")
            return 200, {"branch_policies": [{"name": name.removeprefix("tag ")} for name in known]}
        if found := re.fullmatch(r"/actions/variables(?:/(\w+))?", path):
            if method == "PATCH" and found[1] not in self.variables:
                return 404, {"message": "Not Found"}
            self.variables[body["name"]] = body["value"]
            return 201 if method == "POST" else 204, None
        return 404, {"message": f"Unknown route {path}"}

    def environment(self, method: str, name: str) -> tuple[int, Any]:
        if method == "PUT":
            self.policies.setdefault(name, [])
            if self.forgets:
                self.rules.pop(name, None)
        elif name not in self.policies and name not in self.rules:
            return 404, {"message": "Not Found"}
        custom = name in self.policies
        policy = {"protected_branches": False, "custom_branch_policies": True} if custom else None
        rules = [*self.rules.get(name, ()), *([{"id": 1, "type": "branch_policy"}] if custom else ())]
        return 200, {"name": name, "protection_rules": rules, "deployment_branch_policy": policy}

    def add(self, body: str, kind: str) -> dict[str, Any]:
        number = len(self.comments) + 1
        comment = {"id": number, "body": body, "user": {"type": kind}, "html_url": f"{self.url}/comment/{number}"}
        self.comments.append(comment)
        return comment


@contextmanager
def github_server() -> Iterator[GitHubServer]:
    """The server while it runs, on a free loopback port."""
    state = GitHubServer()

    class Handler(BaseHTTPRequestHandler):
        def serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            prefix = f"/repos/{REPOSITORY}"
            if self.headers["Authorization"] != f"Bearer {TOKEN}" or not self.path.startswith(prefix):
                status, answer = 401, {"message": "Bad credentials"}
            else:
                status, answer = state.answer(self.command, self.path.removeprefix(prefix), body)
            content = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_PUT = serve  # noqa: N815 - the names that the base class calls

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
