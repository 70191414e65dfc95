"""Each workflow's role at work in an emulator that enforces IAM: what it needs is granted, what it must not is refused.

The role's own policy and ceiling are those of the Delivery stack, the CDK's roles those of `cdk bootstrap`. The trust
is another one: the emulator knows three of the claims that it asks for (see tests/infra/test_delivery.py for all).
"""

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
from tests.infra.conftest import ROOT, Synthesize
from tests.integration.emulator.conftest import Emulator, running
from twin.delete import delete as command
from twin.delete.delete import delete
from twin.target import cdk
from twin.target.bootstrap import bootstrap_account
from twin.target.stage import Stage

STACK = "twin-delivery"
ACCOUNT = "000000000000"
REGION = "us-east-1"
CDK = ROOT / "node_modules" / ".bin" / "cdk"
TRUST_THE_ACCOUNT = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    ],
}


@dataclass(frozen=True)
class Account:
    """An account with the Delivery stack and the CDK's bootstrap stack, and what is deployed to it."""

    emulator: Emulator
    assemblies: Mapping[str, Path]

    @contextmanager
    def role(self, workflow: str) -> Iterator[None]:
        """This process and its children are the workflow's session."""
        arn = f"arn:aws:iam::{ACCOUNT}:role/{STACK}-{workflow}"
        keys = self.emulator.client("sts").assume_role(RoleArn=arn, RoleSessionName=workflow)["Credentials"]
        with pytest.MonkeyPatch.context() as patch:
            for name, value in aws_environment(self.emulator.url).items():
                patch.setenv(name, value)
            patch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
            patch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
            patch.setenv("AWS_SESSION_TOKEN", keys["SessionToken"])
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


@pytest.fixture(scope="module")
def account(synthesize: Synthesize, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    delivery = synthesize("dev", {"TWIN_DELIVERY__REPOSITORY": "octo-lab/llm-twin"})
    assemblies = {}
    for stage in ("pr-12", "dev"):
        assemblies[stage] = tmp_path_factory.mktemp("assembly") / stage
        shutil.copytree(synthesize(stage), assemblies[stage])
    with running(tmp_path_factory.mktemp("aws"), AUTH="true") as emulator:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in aws_environment(emulator.url).items():
                patch.setenv(name, value)
            assert bootstrap_account(Stage("dev", REGION)) == f"{ACCOUNT}/{REGION}"
        # It refuses whoever comes without TLS, which the emulator has none of.
        emulator.client("s3").delete_bucket_policy(Bucket=f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}")
        _trusted(emulator, json.loads((delivery / f"{STACK}.template.json").read_text()))
        yield Account(emulator, assemblies)


def _trusted(emulator: Emulator, template: Any) -> None:
    cloudformation, iam = emulator.client("cloudformation"), emulator.client("iam")
    body = json.dumps(template, separators=(",", ":"))
    # IAM has a name of its own for this call, see AWS's service authorization reference; the emulator has the call's.
    body = body.replace('"budgets:ViewBudget"', '"budgets:ViewBudget","budgets:DescribeBudgets"')
    cloudformation.create_stack(StackName=STACK, TemplateBody=body, Capabilities=["CAPABILITY_NAMED_IAM"])
    cloudformation.get_waiter("stack_create_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
    for role in iam.list_roles()["Roles"]:
        if role["RoleName"].startswith(STACK):
            iam.update_assume_role_policy(RoleName=role["RoleName"], PolicyDocument=json.dumps(TRUST_THE_ACCOUNT))
            # The emulator's CloudFormation drops a role's boundary; that the template sets it is a template test.
            ceiling = f"arn:aws:iam::{ACCOUNT}:policy/{STACK}-ceiling"
            iam.put_role_permissions_boundary(RoleName=role["RoleName"], PermissionsBoundary=ceiling)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(command, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(command, "key_file", lambda stage: tmp_path / "key")


def refused(action: str) -> Any:
    return pytest.raises(ClientError, match=rf"AccessDenied.*is not authorized to perform: {action}")


def client(service: str) -> Any:
    return boto3.client(service, region_name=REGION)


def test_a_preview_is_deployed_updated_and_destroyed_by_its_role(account: Account) -> None:
    with account.role("preview"):
        assert not (said := account.deploy("pr-12")), said
        account.change("pr-12")
        assert not (said := account.deploy("pr-12")), said
        assert "Changed" in account.outputs("pr-12")
        assert delete(Stage("pr-12", REGION), lambda _: None) == []
        with refused("cloudformation:DeleteStack"):
            client("cloudformation").delete_stack(StackName="twin-dev-network")


def test_a_lasting_stage_is_deployed_by_one_role_and_destroyed_by_another(account: Account) -> None:
    with account.role("deploy"):
        assert not (said := account.deploy("dev")), said
        account.change("dev")
        assert not (said := account.deploy("dev")), said
        with refused("cloudformation:"):
            delete(Stage("dev", REGION), lambda _: None)
    assert "Changed" in account.outputs("dev")
    with account.role("evaluate"), refused("cloudformation:DeleteStack"):
        client("cloudformation").delete_stack(StackName="twin-dev-network")
    with account.role("teardown"):
        assert delete(Stage("dev", REGION), lambda _: None) == []


@pytest.mark.parametrize("workflow", ["preview", "deploy", "teardown", "evaluate"])
def test_no_role_makes_anything_itself_nor_touches_its_own_trust(account: Account, workflow: str) -> None:
    with account.role(workflow):
        with refused("cloudformation:CreateStack"):
            client("cloudformation").create_stack(StackName="twin-pr-12-mine", TemplateBody="{}")
        with refused("iam:PutRolePolicy"):
            client("iam").put_role_policy(RoleName=f"{STACK}-{workflow}", PolicyName="more", PolicyDocument="{}")
        with refused("cloudformation:DeleteStack"):
            client("cloudformation").delete_stack(StackName=STACK)


def test_the_ceiling_holds_whatever_is_attached_below_it(account: Account) -> None:
    iam, name = account.emulator.client("iam"), f"{STACK}-evaluate"
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_role_policy(RoleName=name, PolicyName="everything", PolicyDocument=json.dumps(everything))
    try:
        with account.role("evaluate"), pytest.raises(ClientError, match="AccessDenied"):
            client("s3").create_bucket(Bucket="made-by-a-workflow")
    finally:
        iam.delete_role_policy(RoleName=name, PolicyName="everything")
