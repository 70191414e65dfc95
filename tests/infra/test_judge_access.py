"""What a function gets for each kind of judge, and nothing for none."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_iam as iam
from pydantic import ValidationError

from infra.constructs.evaluation.judge_access import JudgeAccess
from infra.settings.deployment import load_settings
from infra.settings.judge import JudgeSettings

ACCOUNT, REGION = "111122223333", "eu-west-1"
SAGEMAKER = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"


def declared(**judge: Any) -> tuple[dict[str, str], dict[str, set[str]], list[str]]:
    """Variables, resources by action, and the secrets of a judge."""
    settings = load_settings("dev").model_copy(update={"judge": JudgeSettings(**judge)})
    stack = cdk.Stack(cdk.App(), "Test", env=cdk.Environment(account=ACCOUNT, region=REGION))
    access = JudgeAccess(stack, "Judge", settings=settings)
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    access.grant(role)
    variables = stack.resolve(access.environment)
    template = assertions.Template.from_stack(stack).to_json()["Resources"]
    found: dict[str, set[str]] = {}
    for resource in template.values():
        if resource["Type"] == "AWS::IAM::Policy":
            for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
                named = statement["Resource"]
                texts = named if isinstance(named, list) else [named]
                found[statement["Action"]] = {plain(each) for each in texts}
    return variables, found, [name for name, each in template.items() if each["Type"] == "AWS::SecretsManager::Secret"]


def plain(value: Any) -> str:
    """A resolved value as text, with `aws` as the partition and logical names for references."""
    if isinstance(value, str):
        return value
    ((function, argument),) = value.items()
    if function == "Ref":
        return "aws" if argument == "AWS::Partition" else str(argument)
    assert function == "Fn::Join"
    return str(argument[0]).join(plain(each) for each in argument[1])


def test_no_judge_needs_nothing() -> None:
    assert declared() == ({}, {}, [])


def test_the_own_endpoint_judges_when_no_other_is_named() -> None:
    variables, grants, secrets = declared(provider="sagemaker")
    assert variables["JUDGE_ENDPOINT_NAME"] == "twin-dev-llm"
    component = variables["JUDGE_INFERENCE_COMPONENT_NAME"]
    assert grants["sagemaker:InvokeEndpoint"] == {
        f"{SAGEMAKER}:endpoint/twin-dev-llm",
        f"{SAGEMAKER}:inference-component/{component}",
    }
    assert secrets == [] and len(grants) == 1


def test_another_endpoint_is_the_only_one_granted() -> None:
    variables, grants, _ = declared(provider="sagemaker", endpoint_name="judge")
    assert "JUDGE_INFERENCE_COMPONENT_NAME" not in variables
    (only,) = grants["sagemaker:InvokeEndpoint"]
    assert only.endswith(f'{REGION}:{ACCOUNT}:endpoint/judge"]]}}') or "endpoint/judge" in only


@pytest.mark.parametrize(
    ("model", "resources"),
    [
        ("amazon.nova-lite-v1:0", {f"arn:aws:bedrock:{REGION}::foundation-model/amazon.nova-lite-v1:0"}),
        (
            "eu.amazon.nova-lite-v1:0",
            {
                "arn:aws:bedrock:*::foundation-model/amazon.nova-lite-v1:0",
                f"arn:aws:bedrock:{REGION}:{ACCOUNT}:inference-profile/eu.amazon.nova-lite-v1:0",
            },
        ),
    ],
)
def test_a_model_of_bedrock_and_a_profile_over_regions(model: str, resources: set[str]) -> None:
    assert declared(provider="bedrock", model=model)[1] == {"bedrock:InvokeModel": resources}


def test_an_address_gets_a_secret_for_its_key() -> None:
    variables, grants, secrets = declared(provider="openai", model="m", url="https://judge.example/v1", input_price=0.4)
    assert (variables["JUDGE_URL"], variables["JUDGE_INPUT_PRICE"]) == ("https://judge.example/v1", "0.4")
    assert len(secrets) == 1 and variables["JUDGE_API_KEY_SECRET_ARN"] == {"Ref": secrets[0]}
    assert list(grants) == ["secretsmanager:GetSecretValue"]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"provider": "bedrock"}, "needs model"),
        ({"provider": "openai", "model": "m"}, "needs url"),
        ({"provider": "bedrock", "model": "m", "url": "https://x.example"}, "does not use url"),
        ({"provider": "sagemaker", "inference_component_name": "c"}, "belongs to an endpoint_name"),
        ({"provider": "openai", "model": "m", "url": "http://x.example"}, "use https"),
    ],
)
def test_a_judge_without_what_it_needs_is_refused(given: dict[str, str], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        JudgeSettings.model_validate(given)
