"""`twin ci preview-comment` as a job runs it: GitHub's variables, and a server that stands for GitHub's API."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.github_server import REPOSITORY, TOKEN, GitHubServer, github_server
from tests.program import TWIN
from twin.account.trust import approval_warnings, connect
from twin.ci.preview import MARKER, Preview, render
from twin.ci.stack_diff import ResourceChange, StackChange
from twin.evaluate.comparison import compare
from twin.target.errors import TwinError
from twin.target.github import LONGEST_COMMENT, GitHub
from twin.target.github_job import Job

ROOT = Path(__file__).resolve().parents[4]
# pragma: allowlist nextline secret - made-up commit
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def stand() -> Iterator[GitHubServer]:
    with github_server() as server:
        yield server


def job(stand: GitHubServer, token: str = TOKEN) -> Job:
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


def run_job(tmp_path: Path, stand: GitHubServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"action": "synchronize", "pull_request": {"number": 7}}))
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GITHUB_", "TWIN_"))},
        "GITHUB_API_URL": stand.url,
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "COMMIT": COMMIT,
        "PREVIEW_RUN_URL": "https://github.example/runs/1",
        "TWIN_STATE_ROOT": str(tmp_path),
    }
    command = [TWIN, "ci", "preview-comment", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=200, check=False)


def test_the_job_posts_one_comment_and_keeps_it_up_to_date(tmp_path: Path, stand: GitHubServer) -> None:
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
    assert "_The preview is deployed._" in body
    assert (tmp_path / "summary.md").read_text().strip() == body.removeprefix(f"{MARKER}\n").strip()

    (tmp_path / "proof.json").write_text(json.dumps({"survivors": [], "services": ["ecs", "sqs"]}))
    nothing = [part for name in ("base", "head", "base-scores") for part in (f"--{name}", str(tmp_path / "none"))]
    closed = run_job(tmp_path, stand, *nothing, "--benchmarks", "none", "--proof", str(tmp_path / "proof.json"))

    assert closed.returncode == 0, closed.stderr
    (comment,) = stand.comments
    assert comment["body"].count("- **replaced: AWS::SQS::Queue `Jobs`**") == 1
    assert "0 survivors: looked at 2 services." in comment["body"]
    assert "The preview is deleted." in comment["body"]
    assert comment["body"].count("### Deletion") == comment["body"].count("## Preview of") == 1
    assert "| answers/s | 26.50 x | at least 25 | reached |" in comment["body"]
    assert "Not measured" not in closed.stdout + comment["body"]
    assert [method for method, _ in stand.writes] == ["POST", "PATCH"]


def test_a_failed_deletion_is_reported(tmp_path: Path, stand: GitHubServer) -> None:
    (tmp_path / "proof.json").touch()
    done = run_job(tmp_path, stand, "--proof", str(tmp_path / "proof.json"))
    assert done.returncode == 0, done.stderr
    (comment,) = stand.comments
    assert "**The preview is not deleted completely.**" in comment["body"]
    assert "**The deletion failed: see the run.**" in comment["body"]


def test_what_did_not_run_is_said_and_nothing_is_posted_in_a_dry_run(tmp_path: Path, stand: GitHubServer) -> None:
    missing = str(tmp_path / "none")
    files = ("base", "head", "base-scores", "head-scores", "benchmarks", "proof")
    done = run_job(tmp_path, stand, "--dry-run", *(part for name in files for part in (f"--{name}", missing)))
    assert done.returncode == 0, done.stderr
    assert "**The preview is not up.**" in done.stdout
    assert done.stdout.count("_Not measured: see the run._") == 4
    assert stand.writes == []


def test_a_comment_past_the_first_page_is_found_and_a_strangers_marker_is_not_taken(stand: GitHubServer) -> None:
    stand.add(f"{MARKER}\nmine!", "User")
    for number in range(150):
        stand.add(f"Talk {number}", "User")
    own = stand.add(f"{MARKER}\nold", "Bot")
    with GitHub(job(stand)) as github:
        assert github.keep_comment(7, MARKER, lambda old: f"{old}, new") == own["html_url"]
    assert own["body"] == f"{MARKER}\nold, new"
    assert stand.comments[0]["body"] == f"{MARKER}\nmine!"
    assert stand.writes == [("PATCH", "/issues/comments/152")]


def test_a_comment_that_is_too_long_is_cut(stand: GitHubServer) -> None:
    with GitHub(job(stand)) as github:
        github.keep_comment(7, MARKER, lambda old: "x" * 70_000)
    assert len(stand.comments[0]["body"]) == LONGEST_COMMENT
    assert "Cut: GitHub takes no longer comment" in stand.comments[0]["body"]


def test_a_refusal_is_a_sentence(stand: GitHubServer) -> None:
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
    assert "**The preview is not deleted completely.**" in body
    assert "`x'y/@all<img>`" in body
    row = next(line for line in body.splitlines() if line.startswith("| x"))
    assert row.startswith("| x`y\\|@\u200ball&lt;img&gt; | 1 | 1.000 | 1.000 | +0.000 |")


def test_connecting_a_repository_twice_changes_nothing(stand: GitHubServer) -> None:
    roles = {"deploy": "arn:aws:iam::123456789012:role/twin-delivery-deploy", "preview": "arn:preview"}
    with GitHub(job(stand)) as github:
        done = connect(github, roles, "eu-west-1", "main")
        assert connect(github, roles, "eu-west-1", "main") == done
    assert stand.policies == {
        "staging": ["main"],
        "production": ["main"],
        "approval": ["main"],
        "preview": ["refs/pull/*/merge", "main"],
        "release": ["tag v*"],
    }
    assert stand.variables == {
        "AWS_DEPLOY_ROLE": roles["deploy"],
        "AWS_PREVIEW_ROLE": roles["preview"],
        "AWS_REGION": "eu-west-1",
    }


REVIEWERS = {"type": "required_reviewers", "reviewers": [{"type": "User", "reviewer": {"id": 4}}], "id": 2}


def test_rules_of_an_environment_are_kept_or_missed(stand: GitHubServer) -> None:
    stand.rules["production"] = [{"id": 3, "type": "wait_timer", "wait_timer": 30}, REVIEWERS]
    with GitHub(job(stand)) as github:
        github.set_environment("production", ("main",))
        github.set_environment("production", ("main",))
        assert stand.writes.count(("PUT", "/environments/production")) == 1
        stand.rules["staging"], stand.forgets = [REVIEWERS], True
        with pytest.raises(TwinError, match=r"The environment staging had the rules .*'id': 4.* and has \{\} now"):
            github.set_environment("staging", ("main",))


def test_a_release_without_approval_and_a_rollback_that_waits_are_told(stand: GitHubServer) -> None:
    with GitHub(job(stand)) as github:
        connect(github, {"deploy": "arn:deploy"}, "eu-west-1", "main")
        (warning,) = approval_warnings(github)
        assert warning.endswith("the environment approval has no reviewers.")
        stand.private = True
        assert "GitHub Enterprise only" in approval_warnings(github)[0]
        stand.rules["approval"] = [REVIEWERS]
        assert approval_warnings(github) == []
        stand.rules["production"] = [REVIEWERS]
        (waits,) = approval_warnings(github)
        assert "move them to approval" in waits
