"""A stranger's first deployment: an account with nothing in it, an administrator's key, a checkout, and a terminal.

The emulator enforces IAM. What an account has and it has not: a GPU, machines of a hosted store, names that resolve
and TLS. So the store and Opik are addresses on this machine, the API is plain HTTP inside of the VPC, and a proxy
stands for the name service.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from localcloud import lifecycle
from localcloud.credentials import read_credentials
from localcloud.state import State
from localcloud.store_keys import store_keys
from tests.e2e.checkout import check_out, commit
from tests.e2e.name_service import name_service
from tests.terminal import CTRL_C, Terminal
from twin.target.paths import EMBEDDING_MODEL

QUESTION = "Why does Ada keep the health check timeout so long?"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
REGION = "us-east-1"


@dataclass(frozen=True)
class Stranger:
    """A person with a checkout, an administrator's key and a terminal."""

    checkout: Path
    commit: str
    environment: dict[str, str]
    state: State
    root: Path

    @property
    def twin(self) -> str:
        """The program of the checkout."""
        return str(self.checkout / ".venv" / "bin" / "twin")

    def run(self, *arguments: str, timeout: float = 300, **more: str) -> subprocess.CompletedProcess[str]:
        """Without a terminal."""
        return subprocess.run(
            [self.twin, *arguments],
            cwd=self.checkout,
            env={**self.environment, **more},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def deploy(self) -> Terminal:
        """The one command, at a terminal."""
        command = [self.twin, "deploy", "--stage", "dev", "--ask", QUESTION]
        return Terminal(command, self.checkout, self.environment)

    def client(self, service: str) -> Any:
        """A boto3 client with the root key: the test's view of the account."""
        url = f"http://127.0.0.1:{self.state.ports['aws']}"
        arguments: Any = read_credentials(self.root).client_arguments()
        return boto3.client(service, endpoint_url=url, **arguments)

    def stacks(self) -> set[str]:
        """Names of the account's stacks."""
        found = self.client("cloudformation").describe_stacks()["Stacks"]
        return {each["StackName"] for each in found if each["StackStatus"] != "DELETE_COMPLETE"}

    def builds(self) -> list[Any]:
        """Every build that CodeBuild has made."""
        client = self.client("codebuild")
        ids = client.list_builds()["ids"]
        return list(client.batch_get_builds(ids=ids)["builds"]) if ids else []


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, State]]:
    """A local cloud that enforces IAM and has nothing in it."""
    root = tmp_path_factory.mktemp("account")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCALCLOUD_TIME_FACTOR", "20")
        state = lifecycle.start(root, 90)
    yield root, state
    lifecycle.stop(root)


@pytest.fixture(scope="module")
def stranger(cloud: tuple[Path, State], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    root, state = cloud
    url = f"http://127.0.0.1:{state.ports['aws']}"
    arguments: Any = read_credentials(root).client_arguments()
    iam = boto3.client("iam", endpoint_url=url, **arguments)
    iam.create_user(UserName="admin")
    iam.attach_user_policy(UserName="admin", PolicyArn=ADMINISTRATOR)
    key = iam.create_access_key(UserName="admin")["AccessKey"]
    checkout = check_out(tmp_path_factory.mktemp("clone") / "llm-twin")
    cloned = commit(checkout, "As cloned")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TWIN_", "AWS_", "CI"))}
    with name_service(state.ports["aws"]) as proxy:
        environment = {
            **kept,
            "AWS_ENDPOINT_URL": url,
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": f"http://127.0.0.1:{state.ports['sagemaker_runtime']}",
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "HTTP_PROXY": proxy,
            "NO_PROXY": "127.0.0.1,localhost",
            "TERM": "dumb",
            "COLUMNS": "200",
            # What stands for an account's services, see above.
            "TWIN_RAG__EDGE": "internal",
            "TWIN_EMBEDDING__MODEL_DIR": str(EMBEDDING_MODEL),
            "TWIN_LLM__ENVIRONMENT": json.dumps(
                {"LLM_ENGINE": "extractive", "EMBEDDING_MODEL_DIR": str(EMBEDDING_MODEL)}
            ),
            "TWIN_EVALUATION__PLATFORM_HAS_DEPENDENCIES": "true",
            "CDK_VALIDATION": "false",
        }
        yield Stranger(checkout, cloned, environment, state, root)


def test_set_up_with_its_answers_given(stranger: Stranger) -> None:
    ports = stranger.state.ports
    options = ("--store", f"http://127.0.0.1:{ports['qdrant']}", "--opik", f"http://127.0.0.1:{ports['opik']}/api")
    done = stranger.run("init", "--stage", "dev", "--yes", *options)
    assert "Written: infra/config/dev.toml" in done.stdout, done.stderr
    # The store's keys, which its owner has.
    keys = store_keys(stranger.root)
    for name, value in (("qdrant", keys.read), ("qdrant-write", keys.write)):
        filled = subprocess.run(
            [stranger.twin, "secrets", "set", name, "--stage", "dev"],
            cwd=stranger.checkout,
            env=stranger.environment,
            input=f"{value}\n",
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert "Kept on this machine" in filled.stdout, filled.stderr
    assert stranger.stacks() == set()


def test_a_workflow_and_a_program_bootstrap_nothing(stranger: Stranger) -> None:
    for more in ({"CI": "1"}, {}):
        refused = stranger.run("deploy", "--stage", "dev", **more)
        assert refused.returncode == 1
        assert "run `twin account bootstrap --stage dev` once" in refused.stderr
    assert stranger.stacks() == set()


@pytest.mark.timeout(1200)
def test_one_command_goes_on_to_the_first_answer_however_often_it_is_interrupted(stranger: Stranger) -> None:
    with stranger.deploy() as terminal:
        said = terminal.expect(r"Go on\? \[y/N\]: ") and terminal.said
        for part in ("a month: idle ", "at full load", "minutes, an estimate", "CodeBuild at 0.0034 USD a minute"):
            assert part in said
        terminal.send("n\n")
        assert terminal.wait() == 1
        assert "Nothing was made." in terminal.said
    assert stranger.stacks() == set()

    _interrupted(stranger, r"Step 1 of 5: the CDK's roles", answer=True)
    _interrupted(stranger, r"image \S+ +(provisioning|build)", answer=True)
    (build,) = stranger.builds()
    assert build["buildStatus"] == "IN_PROGRESS"
    # The build went on meanwhile, and may be over.
    _interrupted(stranger, r"twin-dev-network ", answer=True)
    assert len(stranger.builds()) == 1
    said = _interrupted(stranger, r"Step \d of \d: the documents", answer=True)
    assert "the service's image" not in said
    # Everything stands: nothing is asked any more.
    with stranger.deploy() as terminal:
        assert terminal.wait() == 0, terminal.said[-3000:]
        assert "Go on?" not in terminal.said
        assert QUESTION in terminal.said and "Sources" in terminal.said
    (build,) = stranger.builds()
    assert build["buildStatus"] == "SUCCEEDED"
    images = stranger.client("ecr").describe_images(repositoryName="llm-twin/rag")["imageDetails"]
    # The settings that were written are in no image: it is the commit's.
    assert [image["imageTags"] for image in images] == [[stranger.commit]]


@pytest.mark.timeout(600)
def test_a_second_run_makes_nothing_twice(stranger: Stranger) -> None:
    before = {each["StackName"]: each.get("LastUpdatedTime") for each in _described(stranger)}
    done = subprocess.run(
        [stranger.twin, "deploy", "--stage", "dev", "--json"],
        cwd=stranger.checkout,
        env=stranger.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout)["ApiUrl"].startswith("http://")
    assert "is in the store already" in done.stderr
    assert len(stranger.builds()) == 1
    assert {each["StackName"]: each.get("LastUpdatedTime") for each in _described(stranger)} == before


@pytest.mark.timeout(600)
def test_a_deletion_names_what_stays_with_the_account(stranger: Stranger) -> None:
    done = stranger.run("delete", "--stage", "dev", timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "0 survivors" in done.stdout
    assert stranger.stacks() == {"CDKToolkit", "twin-image"}
    for stack in ("CDKToolkit", "twin-image"):
        assert stack in done.stdout


def _described(stranger: Stranger) -> list[Any]:
    return list(stranger.client("cloudformation").describe_stacks()["Stacks"])


def _interrupted(stranger: Stranger, at: str, *, answer: bool) -> str:
    """Run the command until a line, press Ctrl-C there; returns what it said."""
    with stranger.deploy() as terminal:
        if answer:
            terminal.expect(r"Go on\? \[y/N\]: ")
            terminal.send("y\n")
        terminal.expect(at, 240)
        time.sleep(0.5)
        terminal.send(CTRL_C)
        assert terminal.wait() == 130, terminal.said[-3000:]
        assert "The same command goes on from here." in terminal.said
        return terminal.said
