"""The jobs of preview, deploy, evaluate and teardown.yaml, step by step out of the files, against the local cloud.

One local cloud stands for every stage. The last job deletes it: nothing but its proof comes after.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from benchmarks.measure import Goal
from tests.aws import aws_environment, ringing
from tests.e2e.checkout import check_out, commit
from tests.e2e.conftest import ROOT, SLOW_TO_WAKE, Twin
from tests.e2e.github_actions import Job, Runner, variables
from tests.github_server import PULL_REQUEST, REPOSITORY, TOKEN, GitHubServer, github_server
from twin.ci.preview import MARKER

WORKFLOWS = ROOT / ".github" / "workflows"
IMAGES = "llm-twin/rag"
SMOKE = '.venv/bin/twin ask --wait --no-sample --require-sources "Why does Ada keep the health check timeout so long?"'
PRODUCTION_SMOKE = SMOKE.replace(" --require-sources", "")
DEPLOY = ".venv/bin/twin ci deploy"
WATCH = ".venv/bin/twin ci watch-alarms --minutes 15"
ROLLBACK = ".venv/bin/twin ci rollback"
AS_BEFORE = "the preview's: the same line with the same commit and the same image"
DOCTOR = ".venv/bin/twin doctor --online"
LASTS = "the local cloud of the other tests stands for it"
NO_ACTIONS = {
    "actions/checkout": "a copy of the work tree",
    "actions/setup-python": "this process's Python",
    "actions/upload-artifact": "the file stays where it is",
    "actions/download-artifact": "the file stays where it is",
    "actions/cache/save": "GitHub's cache",
    "make evaluation-layer": "the local cloud's functions use this environment's packages",
    "aws-actions/configure-aws-credentials": "the local key is used; the trust is tested with the Delivery stack",
}
LARGER = "[rag]\ncpu = 1024\nmemory_mb = 2048\n"
"""What the pull request changes: a task definition is replaced, and costs more."""
QUESTION = "Why does Ada keep the health check timeout so long?"
QUESTIONS = 4
"""Of the labelled ones: each costs the local engine a second."""


@pytest.fixture(scope="module")
def hub() -> Iterator[GitHubServer]:
    with github_server() as server:
        yield server


def ask_few(checkout: Path) -> None:
    """Leave only a few of the labelled questions of a checkout."""
    questions = checkout / "examples" / "retrieval.jsonl"
    questions.write_text("\n".join(questions.read_text().splitlines()[:QUESTIONS]))


class Repository:
    """A repository with a release and a pull request on top of it, and the runner that works on it."""

    def __init__(self, folder: Path, twin: Twin, hub: GitHubServer) -> None:
        self.workspace = check_out(folder / "work")
        ask_few(self.workspace)
        self.good = commit(self.workspace, "What runs")
        settings = self.workspace / "infra" / "config" / "dev.toml"
        settings.write_text(settings.read_text().replace("[rag]\n", LARGER))
        self.pushed = commit(self.workspace, "A larger task")
        self._hub = hub
        self._cloud = {
            **SLOW_TO_WAKE,
            "TWIN_STATE_ROOT": str(twin.state_root),
            # The check against CloudFormation's schemas is a template test.
            "CDK_VALIDATION": "false",
            "WATCH_EVERY_SECONDS": "0.3",
        }
        self._twin = twin
        self.credentials = twin.credentials()
        self.aws = f"http://127.0.0.1:{twin.state()['ports']['aws']}"
        self.client("ecr").create_repository(repositoryName=IMAGES)
        self.digests = {tag: self._push_image(tag) for tag in (self.good, self.pushed)}

    def client(self, service: str) -> Any:
        return self._twin.client(service)

    def _push_image(self, tag: str) -> str:
        # What `docker push` would leave in the registry.
        manifest = json.dumps({"schemaVersion": 2, "layers": [], "annotations": {"commit": tag}})
        put = self.client("ecr").put_image(repositoryName=IMAGES, imageManifest=manifest, imageTag=tag)
        return str(put["image"]["imageId"]["imageDigest"])

    def run(
        self,
        file: str,
        job: str,
        *,
        event_name: str,
        event: Mapping[str, Any] | None = None,
        elsewhere: Mapping[str, str | Callable[[], None]] | None = None,
        environment: Mapping[str, str] | None = None,
        **contexts: Any,
    ) -> Job:
        """A job after the event; `environment` comes on top of what GitHub and the local cloud tell."""
        told = event or {}
        github = {
            "event": told,
            "event_name": event_name,
            "repository": REPOSITORY,
            "server_url": "https://github.example",
            "run_id": "1",
            "token": TOKEN,
        }
        runner = Runner(
            workspace=self.workspace,
            variables=variables(
                self.workspace,
                event_name=event_name,
                event=told,
                GITHUB_API_URL=self._hub.url,
                GITHUB_REPOSITORY=REPOSITORY,
                GITHUB_SHA=self.pushed,
                GITHUB_WORKFLOW=file,
                GITHUB_JOB=job,
                **{**self._cloud, **(environment or {})},
            ),
            contexts={"github": github, **contexts},
            elsewhere={**NO_ACTIONS, **(elsewhere or {})},
            stages={f"pr-{PULL_REQUEST}": "local", "dev": "local", "prod": "local"},
        )
        return runner.run(WORKFLOWS / f"{file}.yaml", job)

    def forget_files(self) -> None:
        """Another job starts on another machine: what Git does not know is not there."""
        for path in (*self.workspace.glob("*.out"), self.workspace / ".local" / "benchmarks"):
            shutil.rmtree(path)
        for path in self.workspace.glob("*scores.json"):
            path.unlink()

    def pull_request(self, action: str, *labels: str, **more: Any) -> dict[str, Any]:
        """The event file of a pull request's workflow, as far as it is read."""
        head = {"sha": self.pushed, "repo": {"full_name": REPOSITORY}}
        named = [{"name": label} for label in labels]
        state = "closed" if action == "closed" else "open"
        request = {
            "number": PULL_REQUEST,
            "state": state,
            "head": head,
            "base": {"sha": self.good},
            "labels": named,
        }
        return {"action": action, "pull_request": request, **more}


@pytest.fixture(scope="module")
def repository(
    twin: Twin, started: dict[str, Any], hub: GitHubServer, tmp_path_factory: pytest.TempPathFactory
) -> Repository:
    return Repository(tmp_path_factory.mktemp("runner"), twin, hub)


@pytest.fixture(scope="module")
def previewed(repository: Repository) -> Job:
    def measured() -> None:
        reports = repository.workspace / ".local" / "benchmarks"
        reports.mkdir()
        goal = Goal("gateway p50 against its floor", 1.1, 1.3)
        (reports / "gateway.json").write_text(json.dumps({"goals": [{**asdict(goal), "met": goal.met}]}))

    def base() -> None:
        shutil.rmtree(repository.workspace / "base", ignore_errors=True)
        ask_few(check_out(repository.workspace / "base"))

    return repository.run(
        "preview",
        "preview",
        event_name="pull_request",
        event=repository.pull_request("synchronize", "preview"),
        elsewhere={
            "actions/checkout": base,
            "make local-start": LASTS,
            "make local-stop": LASTS,
            "make benchmark ARGS=--quick": measured,
            DOCTOR: "its checks of an account have no meaning for the local stage",
        },
    )


def failures(job: Job) -> str:
    return "\n".join(
        f"$ {name}\n{step.output[-3000:]}" for name, step in job.steps.items() if step.outcome == "failure"
    )


def roll_back(repository: Repository, production: Job) -> Job:
    """The job after production's, with the outputs that one left."""
    needs = {"production": {"outputs": production.outputs()}}
    return repository.run("deploy", "rollback", event_name="push", needs=needs)


def running_image(repository: Repository) -> str:
    """The image of the service's task definition."""
    ecs = repository.client("ecs")
    (cluster,) = [arn for arn in ecs.list_clusters()["clusterArns"] if "twin-local" in arn]
    (service,) = ecs.describe_services(cluster=cluster, services=ecs.list_services(cluster=cluster)["serviceArns"])[
        "services"
    ]
    task = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
    return str(task["containerDefinitions"][0]["image"])


def test_a_pull_request_is_deployed_measured_and_told(
    previewed: Job, repository: Repository, hub: GitHubServer
) -> None:
    assert previewed.succeeded, failures(previewed)
    (comment,) = hub.comments
    body = comment["body"]
    assert body.startswith(f"{MARKER}\n## Preview of `{repository.pushed[:12]}`")
    assert "Preview: http" in body
    assert "- **replaced: AWS::ECS::TaskDefinition `Api/Task" in body
    assert "`twin-dev-business`: 1 changes, **1 replaced**" in body
    changes, _, price = body.partition("### Price")
    assert "| AWS::" not in changes and "ECS::Service" in price
    (difference,) = [line for line in body.splitlines() if line.startswith("| difference |")]
    assert "+" in difference
    assert f"| sources_recall | {QUESTIONS} | " in body and "| 95 % interval |" in body
    assert "| gateway p50 against its floor | 1.10 x | at most 1.3 | reached |" in body
    assert "_The preview is deployed._" in body and "Not measured" not in body
    assert "[Run](https://github.example/octo-lab/llm-twin/actions/runs/1)" in body
    assert body.partition("\n")[2].strip() == previewed.summary.strip()
    assert running_image(repository).endswith(repository.pushed)


def test_the_night_judges_what_was_answered_since(previewed: Job, repository: Repository, twin: Twin) -> None:
    asked = twin.json("ask", QUESTION)["trace_id"]
    opik = f"http://127.0.0.1:{twin.state()['ports']['opik']}/api/v1/private/traces/{asked}"
    deadline = time.monotonic() + 90
    while True:
        done = repository.run("evaluate", "evaluate", event_name="schedule")
        assert done.succeeded, failures(done)
        if httpx.get(opik, trust_env=False).json().get("feedback_scores"):
            break
        assert time.monotonic() < deadline, done.steps["make evaluate-llm-monitoring"].output
        time.sleep(1)
    assert "0 scores failed" in done.steps["make evaluate-llm-monitoring"].output


def test_a_release_that_rings_an_alarm_is_rolled_back_to_the_last_good_one(
    previewed: Job, repository: Repository
) -> None:
    digest, good = (repository.digests[tag] for tag in (repository.pushed, repository.good))
    scores = repository.workspace / "head-scores.json"
    staging = repository.run(
        "deploy",
        "staging",
        event_name="push",
        elsewhere={
            DEPLOY: AS_BEFORE,
            "actions/cache/restore": lambda: shutil.copy(scores, repository.workspace / "good-scores.json"),
        },
    )
    assert staging.succeeded, failures(staging)
    assert staging.outputs() == {"digest": digest}
    assert "Evaluation gate: passed." in staging.summary

    needs = {"staging": {"outputs": {"digest": good}}}
    refused = repository.run("deploy", "production", event_name="push", needs=needs)
    assert "was built and tested" in refused.steps[DEPLOY].output
    assert refused.steps[PRODUCTION_SMOKE].outcome == "skipped"
    assert "has no good release yet" in roll_back(repository, refused).steps[ROLLBACK].output

    only = (DEPLOY, PRODUCTION_SMOKE, WATCH)
    kept = repository.run(
        "deploy",
        "production",
        event_name="push",
        needs=needs,
        elsewhere=dict.fromkeys(only, "the release before this one"),
        environment={"COMMIT": repository.good},
    )
    assert kept.succeeded, failures(kept)
    assert not roll_back(repository, kept).steps

    needs = {"staging": {"outputs": staging.outputs()}}
    with ringing(repository.client, "local", "twin-local-business-MadeUp1"):
        released = repository.run(
            "deploy",
            "production",
            event_name="push",
            needs=needs,
            elsewhere={DEPLOY: AS_BEFORE},
        )
    assert [name for name, step in released.steps.items() if step.outcome == "failure"] == [WATCH]
    assert "Alarms since the release: twin-local-business-MadeUp1." in released.steps[WATCH].output
    assert released.steps[".venv/bin/twin ci remember"].outcome == "skipped"
    rolled_back = roll_back(repository, released)
    assert rolled_back.succeeded, failures(rolled_back)
    assert f"**Rolled back** stage local to `{repository.good}` with image `{good}`." in rolled_back.summary
    assert running_image(repository).endswith(repository.good)


def test_a_teardown_needs_the_name_twice_and_leaves_other_stages_alone(repository: Repository) -> None:
    stack = "twin-pr-9-guard"
    template = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    cloudformation = repository.client("cloudformation")
    cloudformation.create_stack(StackName=stack, TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    on_aws = aws_environment(repository.aws) | repository.credentials.variables()

    def by_hand(confirm: str) -> Job:
        inputs = {"stage": "pr-9", "confirm": confirm}
        return repository.run("teardown", "stage", event_name="workflow_dispatch", environment=on_aws, inputs=inputs)

    assert "nothing is deleted" in by_hand("pr-90").steps[".venv/bin/twin ci teardown"].output
    done = by_hand("pr-9")
    assert done.succeeded, failures(done)
    assert "0 survivors of pr-9." in done.summary
    night = repository.run("teardown", "expired", event_name="schedule", environment=on_aws)
    assert "Past their time: none" in night.steps[".venv/bin/twin ci teardown-expired --stage dev"].output
    assert not repository.run("teardown", "expired", event_name="workflow_dispatch").steps
    names = {each["StackName"] for each in cloudformation.describe_stacks()["Stacks"]}
    assert "twin-local-business" in names and stack not in names


def test_a_closed_pull_request_leaves_no_resource_no_process_and_no_port_but_the_proof(
    previewed: Job, twin: Twin, repository: Repository, hub: GitHubServer
) -> None:
    unlabeled = repository.pull_request("unlabeled", label={"name": "other"})
    assert not repository.run("preview", "delete", event_name="pull_request", event=unlabeled).steps
    event = repository.pull_request("closed", "preview")
    assert not repository.run("preview", "preview", event_name="pull_request", event=event).steps
    repository.forget_files()
    state = twin.state()
    deleted = repository.run("preview", "delete", event_name="pull_request", event=event)
    assert deleted.succeeded, failures(deleted)
    (comment,) = hub.comments
    assert "The preview is deleted." in comment["body"] and "0 survivors: looked at " in comment["body"]
    assert "- **replaced: AWS::ECS::TaskDefinition" in comment["body"]
    assert [method for method, _ in hub.writes] == ["POST", "PATCH"]
    assert not (twin.state_root / ".local" / "data").exists()
    pids = [state["pid"], *(process["pid"] for process in state["processes"])]
    assert [pid for pid in pids if pid and psutil.pid_exists(pid)] == []
    for port in state["ports"].values():
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{port}/", timeout=2, trust_env=False)
