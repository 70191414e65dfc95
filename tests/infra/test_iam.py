"""Each role may do what its code calls and what AWS does in its name, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.constructs.evaluation.judging import LOG_DELIVERY, TRACING

from .api_calls import actions_of, reachable
from .conftest import STAGES, Synthesize, Template, Templates, read, resources

EVERY_STAGE = pytest.mark.parametrize("stage", STAGES)
LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}
PULL = {
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
    "ecr:GetAuthorizationToken",
}
QUEUE_POLLER = {
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:GetQueueUrl",
    "sqs:ReceiveMessage",
}
"""What CDK's event source grants Lambda's poller."""
DEAD_LETTERS = {"sqs:SendMessage"}
ENCRYPTED_TOPIC = {"kms:Decrypt", "kms:GenerateDataKey"}
"""What SNS does with the publisher's rights."""
EXECUTION = LOGS | PULL | {"secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"}
"""What ECS does before the container runs; CDK grants the description of a secret along with its value."""
SCHEDULE = {"lambda:InvokeFunction", "sqs:SendMessage"}
MODEL = LOGS | PULL | {"logs:DescribeLogStreams", "cloudwatch:PutMetricData", "cloudwatch:DescribeAlarms"}
"""What SageMaker does for the endpoint and its updates; the container itself calls no AWS."""
MACHINE = {
    *("lambda:InvokeFunction", "states:StartExecution", "states:DescribeExecution", "states:StopExecution"),
    *LOG_DELIVERY,
    *TRACING,
}
"""What a Distributed Map does: it calls the functions, starts and watches its children, and reports."""
NEVER_CALLED = {
    "services.evaluation.handlers.collect_samples": {f"dynamodb:{verb}Item" for verb in ("Get", "Put", "Delete")},
    "services.evaluation.handlers.judge_shard": {"dynamodb:DeleteItem"},
    "services.evaluation.handlers.finish_run": {"dynamodb:UpdateItem"},
    "services.evaluation.handlers.notify": {"dynamodb:DeleteItem"},
}
"""What the table's class can do beyond what these functions ask of it."""


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def granted(template: Template) -> dict[str, set[str]]:
    """By role: the actions that its policies allow."""
    found: dict[str, set[str]] = {name: set() for name in resources(template, "IAM::Role")}
    for policy in resources(template, "IAM::Policy").values():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow"
            for role in policy["Properties"]["Roles"]:
                found[role["Ref"]] |= set(listed(statement["Action"]))
    return found


def principal(role: Template) -> str:
    statement = role["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]
    return str(statement["Principal"]["Service"]).split(".")[0]


def needed(template: Template) -> dict[str, set[str]]:
    """By role: what its code calls, and what AWS does with it."""
    found: dict[str, set[str]] = {}
    polled = json.dumps([each["Properties"] for each in resources(template, "Lambda::EventSourceMapping").values()])
    for name, function in resources(template, "Lambda::Function").items():
        properties = function["Properties"]
        role = properties["Role"]["Fn::GetAtt"][0]
        module = properties["Handler"].rpartition(".")[0]
        found[role] = actions_of(module) - NEVER_CALLED.get(module, set()) | LOGS
        found[role] |= QUEUE_POLLER if f'"{name}"' in polled else set()
        found[role] |= ENCRYPTED_TOPIC if "sns:Publish" in found[role] else set()
        found[role] |= DEAD_LETTERS if "DeadLetterConfig" in properties else set()
    for task in resources(template, "ECS::TaskDefinition").values():
        (container,) = task["Properties"]["ContainerDefinitions"]
        program = f"{container['Command'][2]}.__main__"
        found[task["Properties"]["TaskRoleArn"]["Fn::GetAtt"][0]] = actions_of(program)
        found[task["Properties"]["ExecutionRoleArn"]["Fn::GetAtt"][0]] = EXECUTION
    for name, role in resources(template, "IAM::Role").items():
        known = {"scheduler": SCHEDULE, "sagemaker": MODEL, "states": MACHINE}.get(principal(role))
        if known:
            found[name] = known
    return found


@EVERY_STAGE
def test_each_role_is_granted_what_is_called_and_nothing_more(templates: dict[str, Templates], stage: str) -> None:
    seen = 0
    for part, template in templates[stage].items():
        if part == "network":
            continue
        have, want = granted(template), needed(template)
        assert set(have) == set(want), part
        for role in have:
            assert have[role] - want[role] == set(), f"{part}: {role} may do what nothing calls"
            assert want[role] - have[role] == set(), f"{part}: {role} may not do what is called"
            seen += 1
    assert seen >= 9


def test_a_documents_bucket_is_granted_to_the_ingest_that_reads_it(synthesize: Synthesize) -> None:
    template = read(synthesize("dev", {"TWIN_RAG__DOCUMENTS_BUCKET": "our-documents"}), "dev")["business"]
    assert granted(template) == needed(template)
    serving, ingest = (actions_of(f"services.rag{part}.__main__") for part in ("", ".ingest"))
    assert ingest - serving == {"s3:ListBucket", "s3:GetObject"}


@pytest.mark.parametrize("variables", [{}, {"TWIN_VECTORS": '{"url": null, "hosted": {}}'}])
def test_the_service_holds_no_key_that_writes(synthesize: Synthesize, variables: dict[str, str]) -> None:
    """Neither as a variable, nor by the rights of its two roles; the ingest does."""
    template = read(synthesize("dev", {"TWIN_RAG__DOCUMENTS_BUCKET": "our-documents", **variables}), "dev")["business"]
    keys = [json.dumps(template["Outputs"][f"Qdrant{kind}KeySecretArn"]["Value"]) for kind in ("Api", "Write")]
    held: dict[str, list[bool]] = {}
    for task in resources(template, "ECS::TaskDefinition").values():
        roles = [task["Properties"][part]["Fn::GetAtt"][0] for part in ("TaskRoleArn", "ExecutionRoleArn")]
        policies = [
            policy["Properties"]["PolicyDocument"]
            for policy in resources(template, "IAM::Policy").values()
            if policy["Properties"]["Roles"][0]["Ref"] in roles
        ]
        (container,) = task["Properties"]["ContainerDefinitions"]
        text = json.dumps([container, policies])
        held[container["Name"]] = [key in text for key in keys]
    assert held == {"api": [True, False], "ingest": [False, True]}


@EVERY_STAGE
def test_no_action_and_no_principal_is_a_wildcard(templates: dict[str, Templates], stage: str) -> None:
    for template in templates[stage].values():
        for name, role in resources(template, "IAM::Role").items():
            for statement in role["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
                assert list(statement["Principal"]) == ["Service"], name
        for name, actions in granted(template).items():
            assert not [action for action in actions if "*" in action], name


def test_the_code_is_read_and_not_guessed() -> None:
    assert "services.evaluation.run.watermark" in reachable("services.evaluation.handlers.evaluate_monitoring")
    assert actions_of("services.evaluation.handlers.expire_samples") == {"secretsmanager:GetSecretValue"}
    assert {"ssm:GetParameter", "ssm:PutParameter"} < actions_of("services.evaluation.handlers.evaluate_monitoring")
