"""Evaluation of IAM policies, and grants that variables and secrets require."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.runner.grants import required_by_secrets, required_by_variables, secret_arn
from localcloud.runner.policies import allows

QUEUE = "arn:aws:sqs:us-east-1:000000000000:samples"


def allow(action: Any, resource: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


@pytest.mark.parametrize(
    "statement",
    [
        allow("sqs:SendMessage", QUEUE),
        allow(["sqs:Send*"], [QUEUE]),
        allow("SQS:sendmessage", "arn:aws:sqs:*:*:sample?"),
        {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"},
    ],
)
def test_a_matching_statement_allows(statement: dict[str, Any]) -> None:
    assert allows([statement], "sqs:SendMessage", QUEUE)


@pytest.mark.parametrize(
    "statement",
    [
        allow("sqs:SendMessage", f"{QUEUE}-dead-letters"),
        allow("sqs:ReceiveMessage", QUEUE),
        allow("sqs:SendMessage", "arn:aws:sqs:us-east-1:000000000000:Samples"),
    ],
)
def test_another_action_or_resource_does_not(statement: dict[str, Any]) -> None:
    assert not allows([statement], "sqs:SendMessage", QUEUE)


def test_an_explicit_deny_wins() -> None:
    deny = {"Effect": "Deny", "Action": "*", "Resource": QUEUE}
    assert not allows([allow("*", "*"), deny], "sqs:SendMessage", QUEUE)


def test_variables_say_what_their_role_needs() -> None:
    required = list(
        required_by_variables(
            {
                "SAMPLES_QUEUE_URL": "http://127.0.0.1:4566/000000000000/samples",
                "API_KEYS_SECRET_ARN": "arn:secret",
                "STAGE": "local",
                "LLM_ENDPOINT_NAME": "twin",
            }
        )
    )
    assert ("variable SAMPLES_QUEUE_URL", "sqs:SendMessage", QUEUE) in required
    assert ("variable API_KEYS_SECRET_ARN", "secretsmanager:GetSecretValue", "arn:secret") in required
    assert {action for what, action, _ in required if "LLM" in what} == {
        "sagemaker:InvokeEndpoint",
        "sagemaker:InvokeEndpointWithResponseStream",
    }
    assert len(required) == 4


def test_a_secrets_arn_is_found_under_json_key_and_version() -> None:
    arn = "arn:aws:secretsmanager:us-east-1:000000000000:secret:twin-abc"
    assert secret_arn(f"{arn}:key::") == arn
    assert next(required_by_secrets({"KEY": f"{arn}:key::"})) == ("secret KEY", "secretsmanager:GetSecretValue", arn)
