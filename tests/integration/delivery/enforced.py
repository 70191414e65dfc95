"""An account with the Delivery stack and the CDK's bootstrap stack, in an emulator that enforces IAM."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.aws import aws_environment
from tests.github_tokens import ENVIRONMENTS, claims, session
from tests.infra.conftest import ROOT, Synthesize
from tests.integration.emulator.conftest import Emulator, running
from twin.target import cdk
from twin.target.bootstrap import bootstrap_account
from twin.target.stage import Stage

STACK = "twin-delivery"
ACCOUNT = "000000000000"
REGION = "us-east-1"
CDK = ROOT / "node_modules" / ".bin" / "cdk"


@dataclass(frozen=True)
class Account:
    """An account with the Delivery stack and the CDK's bootstrap stack, and what is deployed to it."""

    emulator: Emulator
    assemblies: Mapping[str, Path]

    @contextmanager
    def role(self, workflow: str) -> Iterator[None]:
        """This process and its children are the workflow's session."""
        arn = f"arn:aws:iam::{ACCOUNT}:role/{STACK}-{workflow}"
        keys = session(self.emulator.url, arn, claims(workflow, ENVIRONMENTS[workflow]))
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**aws_environment(self.emulator.url), **keys}.items():
                patch.setenv(name, value)
            # It remembers the credentials of whoever asked first.
            patch.setattr(boto3, "DEFAULT_SESSION", None)
            yield

    def deploy(self, stage: str) -> str:
        """The real command line, as `twin deploy` calls it; returns what it said when it failed."""
        options = ("--exclusively", "--require-approval", "never", "--method", "direct", "--no-notices")
        done = subprocess.run(
            [str(CDK), "deploy", f"twin-{stage}-network", "--app", str(self.assemblies[stage]), *options],
            cwd=ROOT,
            env={**cdk.environment({}), "AWS_EC2_METADATA_DISABLED": "true"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        return "" if done.returncode == 0 else done.stdout

    def change(self, stage: str) -> None:
        """Another template of the network: an output more."""
        folder, name = self.assemblies[stage], f"twin-{stage}-network"
        file, assets = folder / f"{name}.template.json", folder / f"{name}.assets.json"
        template = json.loads(file.read_text())
        template["Outputs"] = {**template.get("Outputs", {}), "Changed": {"Value": "yes"}}
        file.write_text(json.dumps(template))
        # The command line finds a published template by the digest that the assembly names.
        (digest,) = [
            key for key, each in json.loads(assets.read_text())["files"].items() if each["source"]["path"] == file.name
        ]
        other = hashlib.sha256(file.read_bytes()).hexdigest()
        for each in (assets, folder / "manifest.json"):
            each.write_text(each.read_text().replace(digest, other))

    def outputs(self, stage: str) -> set[str]:
        described = self.emulator.client("cloudformation").describe_stacks(StackName=f"twin-{stage}-network")
        return {output["OutputKey"] for output in described["Stacks"][0].get("Outputs", [])}


@pytest.fixture(scope="session")
def account(synthesize: Synthesize, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    delivery = synthesize("dev", {"TWIN_DELIVERY__REPOSITORY": "octo-lab/llm-twin"})
    assemblies = {}
    for stage in ("pr-12", "dev"):
        assemblies[stage] = tmp_path_factory.mktemp("assembly") / stage
        shutil.copytree(synthesize(stage), assemblies[stage])
    # Its networks stand side by side, and the quota of VPCs is five.
    with running(tmp_path_factory.mktemp("aws"), LOCALCLOUD_AWS_RULES="-vpcs") as emulator:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in aws_environment(emulator.url).items():
                patch.setenv(name, value)
            assert bootstrap_account(Stage("dev", REGION)) == f"{ACCOUNT}/{REGION}"
        _trusted(emulator, json.loads((delivery / f"{STACK}.template.json").read_text()))
        yield Account(emulator, assemblies)


def _trusted(emulator: Emulator, template: Any) -> None:
    cloudformation, body = emulator.client("cloudformation"), json.dumps(template, separators=(",", ":"))
    cloudformation.create_stack(StackName=STACK, TemplateBody=body, Capabilities=["CAPABILITY_NAMED_IAM"])
    cloudformation.get_waiter("stack_create_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})


def refused(action: str) -> Any:
    return pytest.raises(ClientError, match=rf"AccessDenied.*is not authorized to perform: {action}")


def client(service: str) -> Any:
    return boto3.client(service, region_name=REGION)
