"""The Delivery stack itself: made, changed and removed by the emulator's CloudFormation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.emulator.conftest import Emulator, running
from twin import cdk
from twin.ci.setup import deploy_trust, roles
from twin.errors import TwinError
from twin.stages import Stage

STACK = "twin-delivery"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(tmp_path_factory.mktemp("aws")) as emulator:
        emulator.client("ssm").put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="30", Type="String")
        yield emulator


def synthesized(folder: Path, **settings: str) -> str:
    variables = {f"TWIN_DELIVERY__{name.upper()}": value for name, value in settings.items()}
    cdk.synth("dev", variables, folder)
    return (folder / f"{STACK}.template.json").read_text()


def test_the_stack_is_made_changed_and_removed(
    cloud: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    cloudformation, iam = cloud.client("cloudformation"), cloud.client("iam")
    options: dict[str, Any] = {"StackName": STACK, "Capabilities": ["CAPABILITY_NAMED_IAM"]}

    body = synthesized(tmp_path / "first", repository="octo-lab/llm-twin")
    cloudformation.create_stack(TemplateBody=body, **options)
    cloudformation.get_waiter("stack_create_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
    found = roles(Stage("dev", "us-east-1"))
    assert set(found) == {"preview", "deploy", "teardown", "evaluate"}
    role = iam.get_role(RoleName="twin-delivery-deploy")["Role"]
    assert role["Arn"] == found["deploy"]
    # The emulator drops a role's boundary; that the template sets it is a template test.
    policies = iam.list_policies(Scope="Local")["Policies"]
    assert "twin-delivery-ceiling" in {policy["PolicyName"] for policy in policies}
    assert "octo-lab/llm-twin/.github/workflows/deploy.yaml" in json.dumps(role["AssumeRolePolicyDocument"])

    body = synthesized(tmp_path / "second", repository="octo-lab/renamed", workflows='["preview", "teardown"]')
    cloudformation.update_stack(TemplateBody=body, **options)
    cloudformation.get_waiter("stack_update_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
    assert set(roles(Stage("dev", "us-east-1"))) == {"preview", "teardown"}

    cloudformation.delete_stack(StackName=STACK)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
    assert [each for each in iam.list_roles()["Roles"] if each["RoleName"].startswith(STACK)] == []


def test_the_local_cloud_trusts_nobody() -> None:
    with pytest.raises(TwinError, match="trusts GitHub with an AWS account"):
        deploy_trust(Stage("local", "us-east-1"), "octo-lab/llm-twin", lambda _: None)
