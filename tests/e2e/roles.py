"""A local cloud that stands for an AWS account: the jobs of the workflows work in it with sessions of their roles only.

Stages have their names of AWS, and the programs find them by the SDKs' variables, as on a runner of GitHub's. Three
things of the internet have a stand-in on this machine: the names of load balancers (`name_service.py`), GitHub's
issuer of tokens (`tests/github_tokens.py`) and Docker with its pushes (`DOCKER`).
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from localcloud import lifecycle
from localcloud.account import Credentials
from localcloud.credentials import read_credentials
from localcloud.state import State
from localcloud.store_keys import store_keys
from tests.e2e.conftest import ROOT
from tests.e2e.name_service import name_service
from tests.github_server import REPOSITORY
from tests.github_tokens import BRANCH, REGION, claims, session
from tests.program import TWIN
from twin.target.paths import EMBEDDING_MODEL

START_SECONDS = 60.0
DOCKER = """#!{python}
import base64, hashlib, json, sys
import boto3

ecr = boto3.client("ecr")
if sys.argv[1] == "login":
    sys.exit(0 if sys.stdin.read() else "no password")
if sys.argv[1] == "push":
    name, tag = sys.argv[2].split("/", 1)[1].split(":")
    layer = tag.encode()
    digest = "sha256:" + hashlib.sha256(layer).hexdigest()
    ecr.batch_check_layer_availability(repositoryName=name, layerDigests=[digest])
    upload = ecr.initiate_layer_upload(repositoryName=name)["uploadId"]
    part = dict(partFirstByte=0, partLastByte=len(layer) - 1, layerPartBlob=layer)
    ecr.upload_layer_part(repositoryName=name, uploadId=upload, **part)
    ecr.complete_layer_upload(repositoryName=name, uploadId=upload, layerDigests=[digest])
    manifest = json.dumps({{"schemaVersion": 2, "layers": [], "annotations": {{"commit": tag}}}})
    ecr.put_image(repositoryName=name, imageManifest=manifest, imageTag=tag)
"""
"""What `docker login` and `docker push` ask of ECR; nothing is built."""


@dataclass(frozen=True)
class Account:
    """The running account.

    Attributes:
        names: address of the proxy by which programs reach load balancers.
        programs: folder of the stand-in for Docker.
        roles: ARN of each workflow's role.
    """

    root: Path
    state: State
    names: str
    programs: Path
    roles: Mapping[str, str]

    @property
    def owner(self) -> Credentials:
        """The key of the account's owner, who set it up; no job has it."""
        return read_credentials(self.root)

    def client(self, service: str, **keys: Any) -> Any:
        """A boto3 client, of the owner unless other keys are given."""
        return boto3.client(service, endpoint_url=self.url("aws"), **(keys or self.owner.client_arguments()))

    def url(self, process: str) -> str:
        return f"http://127.0.0.1:{self.state.ports[process]}"

    def keep_secrets(self, folder: Path, stage: str) -> None:
        """Keep, as `twin secrets set` of a person does, the values that the first deployment of a stage fills in."""
        keys = store_keys(self.root)
        values = {"qdrant": keys.read, "qdrant-write": keys.write, "slack": f"{self.url('sink')}/slack/alerts"}
        path = folder / ".local" / "secrets" / f"{stage}.json"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.write_text(json.dumps(values))

    def environment(self) -> dict[str, str]:
        """Environment of a program, without credentials."""
        engine = {"LLM_ENGINE": "extractive", "EMBEDDING_MODEL_DIR": str(EMBEDDING_MODEL)}
        return {
            "AWS_ENDPOINT_URL": self.url("aws"),
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": self.url("sagemaker_runtime"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "TWIN_VECTORS__URL": self.url("qdrant"),
            "TWIN_MONITORING__OPIK_URL": f"{self.url('opik')}/api",
            "TWIN_EMBEDDING__MODEL_DIR": str(EMBEDDING_MODEL),
            "TWIN_LLM__ENVIRONMENT": json.dumps(engine),
            # CloudFront's names would need its certificates here.
            "TWIN_RAG__EDGE": "internal",
            # The local cloud runs the functions on this interpreter, with its packages.
            "TWIN_EVALUATION__PLATFORM_HAS_DEPENDENCIES": "true",
            # MiniStack 1.5.33 has no AWS::EC2::FlowLog and no AWS::WAFv2::WebACLAssociation.
            "TWIN_NETWORK__FLOW_LOGS": "false",
            "TWIN_RAG__WEB_ACL": "false",
            "HTTP_PROXY": self.names,
            "NO_PROXY": "127.0.0.1,localhost",
            # The check against CloudFormation's schemas is a template test.
            "CDK_VALIDATION": "false",
            "PATH": f"{self.programs}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }

    def session(self, workflow: str, environment: str, ref: str = BRANCH, seconds: int = 3600) -> dict[str, str]:
        """Variables of a session of the workflow's role, by a token as GitHub gives it to a job."""
        return session(self.url("aws"), self.roles[workflow], claims(workflow, environment, ref), seconds)


@contextmanager
def running_account(folder: Path) -> Iterator[Account]:
    """An account in which `twin account bootstrap` and `trust` have run, as its owner runs them; stopped at the end."""
    root = folder / "account"
    root.mkdir()
    programs = folder / "programs"
    programs.mkdir()
    docker = programs / "docker"
    docker.write_text(DOCKER.format(python=sys.executable))
    docker.chmod(docker.stat().st_mode | stat.S_IXUSR)
    try:
        state = lifecycle.start(root, START_SECONDS)
        with name_service(state.ports["aws"]) as address:
            bare = Account(root, state, address, programs, {})
            region = {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
            # The owner's machine: what it synthesizes must not meet what other tests do in the checkout.
            machine = {"TWIN_STATE_ROOT": str(folder / "owner")}
            owner = {**bare.environment(), **bare.owner.variables(), **region, **machine}
            said_by_twin(owner, "account", "bootstrap", "--stage", "prod")
            said = said_by_twin(owner, "account", "trust", "--stage", "prod", "--repository", REPOSITORY)
            roles = dict(line.split(": ", 1) for line in said.splitlines() if ": arn:" in line)
            assert len(roles) == 4, said[-3000:]
            yield Account(root, state, address, programs, roles)
    finally:
        lifecycle.stop(root)


def said_by_twin(environment: Mapping[str, str], *arguments: str, given: str = "") -> str:
    """What `twin` says with exactly this AWS and these settings, whether it succeeds or not."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TWIN_", "CDK_"))}
    done = subprocess.run(
        [TWIN, *arguments],
        cwd=ROOT,
        env={**kept, "CI": "1", "COLUMNS": "400", **environment},
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )
    return done.stdout
