"""A service of AWS acts for this account only: in the trust of roles, and in the policies of resources."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import STAGES, Synthesize, Template, resources
from .test_iam import listed

HOSTED = '{"url": null, "hosted": {"volume_snapshots_kept": 3}}'
EVERYTHING = {
    "TWIN_VECTORS": HOSTED,
    "TWIN_RAG__DOCUMENTS_BUCKET": "our-documents",
    "TWIN_NETWORK__FLOW_LOGS": "true",
    "TWIN_DELIVERY__REPOSITORY": "example/twin",
}
"""Settings under which a stage has every role that there is."""
WITHOUT_CONDITION = {
    ("lambda.amazonaws.com", ""): "Lambda's guide gives its execution role a trust without condition and names no key "
    "that Lambda sends: https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html",
    ("ec2.amazonaws.com", ""): "The same for an instance profile: "
    "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/iam-roles-for-amazon-ec2.html",
    ("ecs-tasks.amazonaws.com", "ExecutionRole"): "ECS documents the condition for the task's role only: "
    "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_execution_IAM_role.html",
}
"""Service and part of the role's name: why its trust has no condition. iam:PassRole limits these to the account too."""
OWN_ACCOUNT = ({"Ref": "AWS::AccountId"}, "000000000000")
"""The stack's account, which is a number in the stage `local`."""
OF_ROLES = "AssumeRolePolicyDocument"


@pytest.fixture(scope="module")
def everything(synthesize: Synthesize) -> list[Template]:
    """Every template of every stage, and of stages with all that settings can add."""
    outputs = [synthesize(stage) for stage in STAGES] + [synthesize(stage, EVERYTHING) for stage in ("dev", "prod")]
    return [json.loads(file.read_text()) for output in outputs for file in Path(output).glob("*.template.json")]


def statements(template: Template) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Logical id, property and statement of every policy that names who may act."""
    for name, resource in template["Resources"].items():
        for key, document in resource.get("Properties", {}).items():
            if isinstance(document, dict) and isinstance(document.get("Statement"), list):
                for statement in document["Statement"]:
                    if "Principal" in statement and statement["Effect"] == "Allow":
                        yield name, key, statement


def services(statement: dict[str, Any]) -> list[str]:
    principal = statement["Principal"]
    return listed(principal.get("Service", [])) if isinstance(principal, dict) else [principal]


def names_its_source(statement: dict[str, Any]) -> bool:
    """Whether only what this account, or one of its resources, asks for is allowed."""
    condition: dict[str, dict[str, Any]] = statement.get("Condition", {})
    account = condition.get("StringEquals", {}).get("aws:SourceAccount")
    arns = [value for test in condition.values() for key, value in test.items() if key == "aws:SourceArn"]
    own = any(part in json.dumps(arns) for part in ('"Ref"', '"Fn::GetAtt"', ":000000000000:"))
    return account in OWN_ACCOUNT or own


def test_every_service_takes_roles_for_this_account_only(everything: list[Template]) -> None:
    seen, used = set(), set()
    for template in everything:
        for name, key, statement in statements(template):
            for service in services(statement) if key == OF_ROLES else ():
                without = [one for one in WITHOUT_CONDITION if one[0] == service and one[1] in name]
                used |= set(without)
                seen.add(service)
                assert names_its_source(statement) or without, f"{name} trusts {service} for any account"
                assert not (names_its_source(statement) and without), f"{name} is listed without need"
    assert {"states", "scheduler", "sagemaker", "dlm", "vpc-flow-logs", "ecs-tasks"} <= {
        one.removesuffix(".amazonaws.com") for one in seen
    }
    assert used == set(WITHOUT_CONDITION), "a reason that nothing needs"


def test_every_service_reaches_resources_for_this_account_only(everything: list[Template]) -> None:
    seen = set()
    for template in everything:
        for name, key, statement in statements(template):
            for service in services(statement) if key != OF_ROLES else ():
                seen.add(service)
                assert names_its_source(statement), f"{name} lets {service} in for any account"
        for name, permission in resources(template, "Lambda::Permission").items():
            given = permission["Properties"]
            assert "SourceArn" in given or "SourceAccount" in given, name
    assert {"cloudwatch.amazonaws.com", "budgets.amazonaws.com", "sns.amazonaws.com"} <= seen


def test_a_condition_on_another_account_does_not_count() -> None:
    foreign = {"Condition": {"StringEquals": {"aws:SourceAccount": "111122223333"}}}
    anyone = {"Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:ecs:*:*:*"}}}
    assert not names_its_source(foreign) and not names_its_source(anyone) and not names_its_source({})


def rules(template: Template) -> dict[str, list[dict[str, Any]]]:
    """By security group: what its members may call."""
    found = {name: group["Properties"].get("SecurityGroupEgress", []) for name, group in groups(template).items()}
    for rule in resources(template, "EC2::SecurityGroupEgress").values():
        name = rule["Properties"]["GroupId"].get("Fn::GetAtt", ["imported"])[0]
        found.setdefault(name, []).append(rule["Properties"])
    return found


def groups(template: Template) -> dict[str, Template]:
    return resources(template, "EC2::SecurityGroup")


def test_nothing_may_call_every_port(everything: list[Template]) -> None:
    seen = 0
    for template in everything:
        for name, open_to in rules(template).items():
            for rule in open_to:
                blocked = rule.get("CidrIp") == "255.255.255.255/32"
                assert blocked or (rule["IpProtocol"] == "tcp" and rule["FromPort"] == rule["ToPort"]), name
                assert blocked or rule["Description"], name
                seen += 1
    assert seen > 10


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, {("0.0.0.0/0", 443), ("0.0.0.0/0", 6333)}),
        ({"TWIN_VECTORS__URL": "https://qdrant.example.com"}, {("0.0.0.0/0", 443)}),
        ({"TWIN_VECTORS": HOSTED}, {("0.0.0.0/0", 443), ("10.40.0.0/16", 6333)}),
        (
            {"TWIN_MONITORING__OPIK_URL": "https://opik.example.com:8443/api"},
            {("0.0.0.0/0", 443), ("0.0.0.0/0", 6333), ("0.0.0.0/0", 8443)},
        ),
    ],
)
def test_tasks_call_the_ports_that_the_settings_name(
    synthesize: Synthesize, variables: dict[str, str], expected: set[tuple[str, int]]
) -> None:
    template = json.loads((synthesize("dev", variables) / "twin-dev-network.template.json").read_text())
    (name,) = (one for one in groups(template) if one.startswith("ServiceGroup"))
    assert {(rule["CidrIp"], rule["FromPort"]) for rule in rules(template)[name]} == expected
