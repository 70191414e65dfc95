"""The jobs of preview, deploy, evaluate and teardown.yaml, each with a session of the role that it names.

The account enforces IAM: roles, policies and boundary are those of the Delivery stack that `twin account trust` has
deployed, the CDK's roles those of its bootstrap stack, and the sessions come from tokens with the claims of each job.
What is measured and judged of a release is tested in test_jobs.py, with the stage `local`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.settings.deployment import load_settings
from tests.aws import ringing
from tests.e2e.checkout import check_out, commit
from tests.e2e.conftest import ROOT
from tests.e2e.github_actions import Job, Runner, variables
from tests.e2e.roles import Account, running_account
from tests.e2e.test_jobs import DOCTOR, NO_ACTIONS, ROLLBACK, WATCH, ask_few, failures
from tests.github_server import PULL_REQUEST, REPOSITORY, TOKEN, GitHubServer, github_server
from tests.github_tokens import BRANCH

WORKFLOWS = ROOT / ".github" / "workflows"
PREVIEW = f"pr-{PULL_REQUEST}"
pytestmark = pytest.mark.timeout(1200)
MEASURED = "test_jobs.py measures a change, with the local stage"
LOCAL_PARTS = dict.fromkeys(
    (
        "make local-start",
        "make local-stop",
        "make benchmark ARGS=--quick",
        ".venv/bin/twin ci scores --stage local --out ../base-scores.json",
        ".venv/bin/twin ci scores --stage local --out head-scores.json",
    ),
    MEASURED,
) | {"actions/cache/restore": "GitHub's cache, which is empty"}


class Repository:
    """A clone of a repository of two commits on a runner, whose jobs become the roles of their workflows."""

    def __init__(self, folder: Path, account: Account, hub: GitHubServer) -> None:
        self.account, self._hub = account, hub
        self.workspace = check_out(folder / "work")
        ask_few(self.workspace)
        # Its packages are for the functions of AWS; the emulator's functions run with this environment's.
        makefile = self.workspace / "Makefile"
        makefile.write_text(makefile.read_text().replace("scripts.build_evaluation_layer", "platform"))
        self.good = commit(self.workspace, "What runs")
        (self.workspace / "CHANGELOG.md").write_text("Changed.")
        self.pushed = commit(self.workspace, "A change")

    def run(
        self,
        file: str,
        job: str,
        *,
        event_name: str = "push",
        event: Mapping[str, Any] | None = None,
        ref: str = BRANCH,
        commit: str | None = None,
        fill: str | None = None,
        elsewhere: Mapping[str, str | Callable[[], None]] | None = None,
        **contexts: Any,
    ) -> Job:
        """A job after an event; the secrets of the stage `fill` are filled when its first deployment has made them."""

        def log_in(given: Mapping[str, str], environment: str) -> Mapping[str, str]:
            workflow = given["role-to-assume"].rpartition("-")[2]
            assert workflow == file
            session = self.account.session(workflow, environment, ref, int(given["role-duration-seconds"]))
            return {**session, "AWS_REGION": given["aws-region"], "AWS_DEFAULT_REGION": given["aws-region"]}

        told = event or {}
        github = {"event": told, "event_name": event_name, "repository": REPOSITORY, "token": TOKEN, "sha": self.pushed}
        own = self.account.roles
        vars_ = {"AWS_REGION": "us-east-1", **{f"AWS_{name.upper()}_ROLE": arn for name, arn in own.items()}}
        checkout = self.workspace

        def layer() -> None:
            if fill:
                self.account.keep_secrets(checkout, fill)

        # A job starts on a machine of its own.
        for left in ("keys", "secrets"):
            shutil.rmtree(checkout / ".local" / left, ignore_errors=True)
        runner = Runner(
            workspace=checkout,
            variables={
                **variables(
                    checkout,
                    event_name=event_name,
                    event=told,
                    GITHUB_API_URL=self._hub.url,
                    GITHUB_REPOSITORY=REPOSITORY,
                    GITHUB_SHA=commit or self.pushed,
                    GITHUB_WORKFLOW=file,
                    GITHUB_JOB=job,
                    WATCH_EVERY_SECONDS="0.3",
                ),
                **self.account.environment(),
            },
            contexts={"github": github, "vars": vars_, **contexts},
            elsewhere={**NO_ACTIONS, **LOCAL_PARTS, "make evaluation-layer": layer, **(elsewhere or {})},
            log_in=log_in,
        )
        return runner.run(WORKFLOWS / f"{file}.yaml", job)

    def pull_request(self, action: str, *labels: str) -> dict[str, Any]:
        """The event file of a pull request's workflow, as far as it is read."""
        request = {
            "number": PULL_REQUEST,
            "state": "closed" if action == "closed" else "open",
            "head": {"sha": self.pushed, "repo": {"full_name": REPOSITORY}},
            "base": {"sha": self.good},
            "labels": [{"name": label} for label in labels],
        }
        return {"action": action, "pull_request": request}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with running_account(tmp_path_factory.mktemp("aws")) as made:
        yield made


@pytest.fixture(scope="module")
def hub() -> Iterator[GitHubServer]:
    with github_server() as server:
        yield server


@pytest.fixture(scope="module")
def repository(account: Account, hub: GitHubServer, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository(tmp_path_factory.mktemp("runner"), account, hub)


def stacks(account: Account, stage: str) -> list[str]:
    found = account.client("cloudformation").describe_stacks()["Stacks"]
    return sorted(each["StackName"] for each in found if each["StackName"].startswith(f"twin-{stage}-"))


@pytest.fixture(scope="module")
def registry(account: Account) -> None:
    """The container in AWS's registry, which every region has; the emulator keeps all registries in one."""
    image = load_settings(PREVIEW).llm.image_in("us-east-1").partition("/")[2]
    name, _, tag = image.partition(":")
    ecr = account.client("ecr")
    ecr.create_repository(repositoryName=name)
    ecr.put_image(repositoryName=name, imageManifest=json.dumps({"schemaVersion": 2, "layers": []}), imageTag=tag)


@pytest.mark.usefixtures("registry")
def test_a_preview_lives_and_ends_by_the_previews_role(
    account: Account, repository: Repository, hub: GitHubServer
) -> None:
    def base() -> None:
        shutil.rmtree(repository.workspace / "base", ignore_errors=True)
        check_out(repository.workspace / "base")

    made = repository.run(
        "preview",
        "preview",
        event_name="pull_request",
        event=repository.pull_request("synchronize", "preview"),
        ref=f"refs/pull/{PULL_REQUEST}/merge",
        fill=PREVIEW,
        elsewhere={"actions/checkout": base},
    )
    assert made.succeeded, failures(made)
    assert len(stacks(account, PREVIEW)) == 5
    # What a check may not see is a warning that says so.
    assert "not authorized" not in "\n".join(step.output for step in made.steps.values())
    assert "Image of the LLM container" in made.steps[DOCTOR].output
    (comment,) = hub.comments
    assert "_The preview is deployed._" in comment["body"]

    event = repository.pull_request("closed", "preview")
    ended = repository.run("preview", "delete", event_name="pull_request", event=event)
    assert ended.succeeded, failures(ended)
    assert "0 survivors: looked at " in hub.comments[0]["body"]
    assert stacks(account, PREVIEW) == []


@pytest.fixture(scope="module")
def released(repository: Repository) -> Job:
    """The first release of production, by the jobs of deploy.yaml."""
    staging = repository.run("deploy", "staging", commit=repository.good, fill="dev")
    assert staging.succeeded, failures(staging)
    assert "nothing to compare with" in staging.summary
    production = repository.run(
        "deploy",
        "production",
        commit=repository.good,
        fill="prod",
        needs={"staging": {"outputs": staging.outputs()}},
        elsewhere={WATCH: "the watch of the release after this one"},
    )
    assert production.succeeded, failures(production)
    return production


def test_a_release_goes_to_production_by_the_deploy_role(account: Account, released: Job) -> None:
    assert len(stacks(account, "dev")) == len(stacks(account, "prod")) == 5
    stored = account.client("ssm").get_parameter(Name="/twin-delivery/prod/last-good")
    assert json.loads(stored["Parameter"]["Value"])["commit"]


def test_a_release_is_watched_and_rolled_back_by_the_deploy_role(
    account: Account, repository: Repository, released: Job
) -> None:
    build = repository.run("deploy", "staging")
    assert build.succeeded, failures(build)
    with ringing(account.client, "prod", "twin-prod-business-MadeUp1"):
        watched = repository.run("deploy", "production", needs={"staging": {"outputs": build.outputs()}})
    assert [name for name, step in watched.steps.items() if step.outcome == "failure"] == [WATCH]
    assert "Alarms since the release: twin-prod-business-MadeUp1." in watched.steps[WATCH].output
    back = repository.run("deploy", "rollback", needs={"production": {"outputs": watched.outputs()}})
    assert back.succeeded, failures(back)
    assert f"**Rolled back** stage prod to `{repository.good}`" in back.summary
    assert "not authorized" not in back.steps[ROLLBACK].output


def test_the_night_evaluates_production_by_the_evaluate_role(repository: Repository, released: Job) -> None:
    done = repository.run("evaluate", "evaluate", event_name="schedule")
    assert done.succeeded, failures(done)


def test_a_stage_is_torn_down_by_the_teardown_role(account: Account, repository: Repository, released: Job) -> None:
    for stage in ("dev", "prod"):
        inputs = {"stage": stage, "confirm": stage}
        done = repository.run("teardown", "stage", event_name="workflow_dispatch", inputs=inputs)
        assert done.succeeded, failures(done)
        assert f"0 survivors of {stage}." in done.summary
        assert stacks(account, stage) == []
