"""`twin ci preview-comment` as a job runs it: GitHub's variables, and a server that stands for GitHub's API."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from twin.ci.environment import Job
from twin.ci.github import LONGEST_COMMENT, GitHub
from twin.ci.preview import MARKER, Preview, render
from twin.ci.scores import compare
from twin.ci.setup import connect
from twin.ci.stack_diff import ResourceChange, StackChange
from twin.errors import TwinError

ROOT = Path(__file__).resolve().parents[4]
REPOSITORY = "octo-lab/llm-twin"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Stand:
    """What the server knows: comments, environments, variables; and each request that changed something."""

    url: str = ""
    comments: list[dict[str, Any]] = field(default_factory=list)
    policies: dict[str, list[str]] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    writes: list[tuple[str, str]] = field(default_factory=list)
    refuse: int | None = None

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if self.refuse:
            return self.refuse, {"message": "Resource not accessible by integration"}
        if method != "GET":
            self.writes.append((method, path))
        if found := re.fullmatch(r"/issues/7/comments(?:\?per_page=(\d+)&page=(\d+))?", path):
            if method == "POST":
                return 201, self.add(body["body"], "Bot")
            size, page = int(found[1]), int(found[2])
            return 200, self.comments[(page - 1) * size : page * size]
        if found := re.fullmatch(r"/issues/comments/(\d+)", path):
            comment = next(each for each in self.comments if each["id"] == int(found[1]))
            comment["body"] = body["body"]
            return 200, comment
        if found := re.fullmatch(r"/environments/(\w+)(/deployment-branch-policies)?", path):
            known = self.policies.setdefault(found[1], [])
            if found[2] and method == "POST":
                known.append(body["name"])
            return 200, {"branch_policies": [{"name": name} for name in known]}
        if found := re.fullmatch(r"/actions/variables(?:/(\w+))?", path):
            if method == "PATCH" and found[1] not in self.variables:
                return 404, {"message": "Not Found"}
            self.variables[body["name"]] = body["value"]
            return 201 if method == "POST" else 204, None
        return 404, {"message": f"Unknown route {path}"}

    def add(self, body: str, kind: str) -> dict[str, Any]:
        number = len(self.comments) + 1
        comment = {"id": number, "body": body, "user": {"type": kind}, "html_url": f"{self.url}/comment/{number}"}
        self.comments.append(comment)
        return comment


@pytest.fixture
def stand() -> Iterator[Stand]:
    state = Stand()

    class Handler(BaseHTTPRequestHandler):
        def serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            prefix = f"/repos/{REPOSITORY}"
            if self.headers["Authorization"] != "Bearer job-token" or not self.path.startswith(prefix):
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


def job(stand: Stand, token: str = "job-token") -> Job:
    return Job(stand.url, REPOSITORY, token, {})


def template(folder: Path, resources: dict[str, Any]) -> Path:
    """A cloud assembly of one stack."""
    folder.mkdir()
    (folder / "twin-dev-queues.template.json").write_text(json.dumps({"Resources": resources}))
    artifact = {
        "type": "aws:cloudformation:stack",
        "environment": "aws://unknown-account/us-east-1",
        "properties": {"templateFile": "twin-dev-queues.template.json"},
    }
    (folder / "manifest.json").write_text(json.dumps({"version": "36.0.0", "artifacts": {"twin-dev-queues": artifact}}))
    return folder


def queue(name: str, **properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name, **properties}}


def run_job(tmp_path: Path, stand: Stand, *arguments: str) -> subprocess.CompletedProcess[str]:
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"action": "synchronize", "pull_request": {"number": 7}}))
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GITHUB_", "TWIN_"))},
        "GITHUB_API_URL": stand.url,
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_TOKEN": "job-token",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "COMMIT": COMMIT,
        "PREVIEW_RUN_URL": "https://github.example/runs/1",
        "TWIN_STATE_ROOT": str(tmp_path),
    }
    command = [sys.executable, "-m", "twin", "ci", "preview-comment", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=200, check=False)


def test_the_job_posts_one_comment_and_keeps_it_up_to_date(tmp_path: Path, stand: Stand) -> None:
    base = template(tmp_path / "base.out", {"Jobs": queue("jobs"), "Old": queue("old")})
    head = template(tmp_path / "head.out", {"Jobs": queue("tasks"), "New": queue("new", DelaySeconds=5)})
    for name, value in (("base", 0.9), ("head", 0.4)):
        scores = {"scores": {"groundedness": {f"question {n}": value for n in range(8)}}}
        (tmp_path / f"{name}.json").write_text(json.dumps(scores))
    reports = tmp_path / "reports"
    reports.mkdir()
    goal = {"name": "answers/s", "reached": 26.5, "wanted": 25, "direction": "at least", "unit": "x", "met": True}
    (reports / "gateway.json").write_text(json.dumps({"goals": [goal]}))
    options = [
        *("--base", str(base), "--head", str(head), "--url", "https://pr-7.example.com"),
        *("--base-scores", str(tmp_path / "base.json"), "--head-scores", str(tmp_path / "head.json")),
        *("--benchmarks", str(reports), "--proof", str(tmp_path / "proof.json")),
    ]

    done = run_job(tmp_path, stand, *options)

    assert done.returncode == 0, done.stderr
    (comment,) = stand.comments
    body = comment["body"]
    assert body.startswith(MARKER)
    assert "## Preview of `0123456789ab`" in body
    assert "Preview: https://pr-7.example.com" in body
    assert "`twin-dev-queues`: 3 changes, **1 replaced**" in body
    assert "- **replaced: AWS::SQS::Queue `Jobs`**" in body
    assert "- added: AWS::SQS::Queue `New`" in body
    assert "- removed: AWS::SQS::Queue `Old`" in body
    assert "### Price difference per month" in body
    assert "| groundedness | 8 | 0.900 | 0.400 | -0.500 | -0.500 to -0.500 | **regressed** |" in body
    assert "question 3 (0.90 -> 0.40)" in body
    assert "| answers/s | 26.50 x | at least 25 | reached |" in body
    assert "_The preview stands._" in body
    assert (tmp_path / "summary.md").read_text().strip() == body.removeprefix(f"{MARKER}\n").strip()

    (tmp_path / "proof.json").write_text(json.dumps({"survivors": [], "services": ["ecs", "sqs"]}))
    again = run_job(tmp_path, stand, *options)

    assert again.returncode == 0, again.stderr
    (comment,) = stand.comments
    assert "0 survivors: looked at 2 services." in comment["body"]
    assert "The preview is deleted." in comment["body"]

    nothing = [part for name in ("base", "head", "base-scores") for part in (f"--{name}", str(tmp_path / "none"))]
    closed = run_job(tmp_path, stand, *nothing, "--benchmarks", "none", "--proof", str(tmp_path / "proof.json"))

    assert closed.returncode == 0, closed.stderr
    (comment,) = stand.comments
    assert comment["body"].count("- **replaced: AWS::SQS::Queue `Jobs`**") == 1
    assert comment["body"].count("0 survivors") == comment["body"].count("## Preview of") == 1
    assert "| answers/s | 26.50 x | at least 25 | reached |" in comment["body"]
    assert "Not measured" not in closed.stdout + comment["body"]
    assert [method for method, _ in stand.writes] == ["POST", "PATCH", "PATCH"]


def test_a_deletion_that_broke_off_is_said(tmp_path: Path, stand: Stand) -> None:
    (tmp_path / "proof.json").touch()
    done = run_job(tmp_path, stand, "--proof", str(tmp_path / "proof.json"))
    assert done.returncode == 0, done.stderr
    (comment,) = stand.comments
    assert "**The preview is not all gone.**" in comment["body"]
    assert "**The deletion broke off: see the run.**" in comment["body"]


def test_what_did_not_run_is_said_and_nothing_is_posted_in_a_dry_run(tmp_path: Path, stand: Stand) -> None:
    missing = str(tmp_path / "none")
    files = ("base", "head", "base-scores", "head-scores", "benchmarks", "proof")
    done = run_job(tmp_path, stand, "--dry-run", *(part for name in files for part in (f"--{name}", missing)))
    assert done.returncode == 0, done.stderr
    assert "**The preview is not up.**" in done.stdout
    assert done.stdout.count("_Not measured: see the run._") == 4
    assert stand.writes == []


def test_a_comment_past_the_first_page_is_found_and_a_strangers_marker_is_not_taken(stand: Stand) -> None:
    stand.add(f"{MARKER}\nmine!", "User")
    for number in range(150):
        stand.add(f"Talk {number}", "User")
    own = stand.add(f"{MARKER}\nold", "Bot")
    with GitHub(job(stand)) as github:
        assert github.keep_comment(7, MARKER, lambda old: f"{old}, new") == own["html_url"]
    assert own["body"] == f"{MARKER}\nold, new"
    assert stand.comments[0]["body"] == f"{MARKER}\nmine!"
    assert stand.writes == [("PATCH", "/issues/comments/152")]


def test_a_comment_that_is_too_long_is_cut(stand: Stand) -> None:
    with GitHub(job(stand)) as github:
        github.keep_comment(7, MARKER, lambda old: "x" * 70_000)
    assert len(stand.comments[0]["body"]) == LONGEST_COMMENT
    assert "Cut: GitHub takes no longer comment" in stand.comments[0]["body"]


def test_a_refusal_is_a_sentence(stand: Stand) -> None:
    stand.refuse = 403
    with GitHub(job(stand)) as github, pytest.raises(TwinError, match=r"403: Resource not accessible by integration"):
        github.keep_comment(7, MARKER, str)
    stand.refuse = None
    with GitHub(job(stand, "stale")) as github, pytest.raises(TwinError, match="401: Bad credentials"):
        github.keep_comment(7, MARKER, str)


def test_a_job_without_githubs_variables_is_told_which(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_REPOSITORY", "GITHUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(TwinError, match="GITHUB_REPOSITORY and GITHUB_TOKEN must be set"):
        Job.read()


def test_survivors_and_hostile_names_cannot_break_the_comment() -> None:
    bad = "x`y|@all<img>"
    body = render(
        Preview(
            commit=COMMIT,
            run_url="https://github.example/runs/1",
            stacks=[StackChange("twin-dev-llm", (ResourceChange("AWS::SQS::Queue", bad, "updated"),))],
            scores=compare({bad: {"a": 1.0}}, {bad: {"a": 1.0}}),
            proof={"survivors": [{"service": "sqs", "kind": "queue", "name": bad}], "services": ["sqs"]},
        )
    )
    assert "**1 survivors** (looked at 1 services)" in body
    assert "**The preview is not all gone.**" in body
    assert "`x'y/@all<img>`" in body
    row = next(line for line in body.splitlines() if line.startswith("| x"))
    assert row.startswith("| x`y\\|@\u200ball&lt;img&gt; | 1 | 1.000 | 1.000 | +0.000 |")


def test_connecting_a_repository_twice_changes_nothing(stand: Stand) -> None:
    roles = {"deploy": "arn:aws:iam::123456789012:role/twin-delivery-deploy", "preview": "arn:preview"}
    with GitHub(job(stand)) as github:
        done = connect(github, roles, "eu-west-1", "main")
        assert connect(github, roles, "eu-west-1", "main") == done
    assert stand.policies == {
        "staging": ["main"],
        "production": ["main"],
        "preview": ["refs/pull/*/merge", "main"],
    }
    assert stand.variables == {
        "AWS_DEPLOY_ROLE": roles["deploy"],
        "AWS_PREVIEW_ROLE": roles["preview"],
        "AWS_REGION": "eu-west-1",
    }
