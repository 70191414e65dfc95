"""The Delivery stack itself: made, changed and removed by the emulator's CloudFormation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.aws import aws_environment
from tests.infra.conftest import Synthesize
from tests.integration.emulator.conftest import Emulator
from twin.account.trust import deploy_trust, roles
from twin.target.errors import TwinError
from twin.target.stage import Stage

STACK = "twin-delivery"


def body(synthesize: Synthesize, **settings: str) -> str:
    variables = {f"TWIN_DELIVERY__{name.upper()}": value for name, value in settings.items()}
    template = json.loads((synthesize("dev", variables) / f"{STACK}.template.json").read_text())
    # CloudFormation takes 51,200 bytes in a call; the CDK sends larger ones by way of its bucket.
    return json.dumps(template, separators=(",", ":"))


def test_the_stack_is_made_changed_and_removed(
    cloud: Emulator, synthesize: Synthesize, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = body(synthesize, repository="octo-lab/llm-twin")
    second = body(synthesize, repository="octo-lab/renamed", workflows='["preview", "teardown"]')
    for name, value in aws_environment(cloud.url).items():
        monkeypatch.setenv(name, value)
    cloudformation, iam = cloud.client("cloudformation"), cloud.client("iam")
    options: dict[str, Any] = {"StackName": STACK, "Capabilities": ["CAPABILITY_NAMED_IAM"]}

    cloudformation.create_stack(TemplateBody=first, **options)
    cloudformation.get_waiter("stack_create_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
    found = roles(Stage("dev", "us-east-1"))
    assert set(found) == {"preview", "deploy", "teardown", "evaluate"}
    role = iam.get_role(RoleName="twin-delivery-deploy")["Role"]
    assert role["Arn"] == found["deploy"]
    # The emulator drops a role's boundary; that the template sets it is a template test.
    policies = iam.list_policies(Scope="Local")["Policies"]
    assert "twin-delivery-ceiling" in {policy["PolicyName"] for policy in policies}
    assert "octo-lab/llm-twin/.github/workflows/deploy.yaml" in json.dumps(role["AssumeRolePolicyDocument"])

    cloudformation.update_stack(TemplateBody=second, **options)
    cloudformation.get_waiter("stack_update_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
    assert set(roles(Stage("dev", "us-east-1"))) == {"preview", "teardown"}

    cloudformation.delete_stack(StackName=STACK)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
    assert [each for each in iam.list_roles()["Roles"] if each["RoleName"].startswith(STACK)] == []


def test_the_local_cloud_trusts_nobody() -> None:
    with pytest.raises(TwinError, match="trusts GitHub with an AWS account"):
        deploy_trust(Stage("local", "us-east-1"), "octo-lab/llm-twin", lambda _: None)


def test_a_preview_makes_no_trust() -> None:
    with pytest.raises(TwinError, match="use STAGE=dev instead of pr-7"):
        deploy_trust(Stage("pr-7", "us-east-1"), "octo-lab/llm-twin", lambda _: None)
