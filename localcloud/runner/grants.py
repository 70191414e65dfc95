"""Checks that roles grant what task definitions and functions reference; the emulator enforces IAM only in part."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from botocore.exceptions import ClientError

from localcloud.account import ACCOUNT_ID, REGION
from localcloud.runner.aws import Aws
from localcloud.runner.policies import Statement, allows

RequiredGrant = tuple[str, str, str]
"""Reference that requires it (e.g. `variable SAMPLES_QUEUE_URL`), IAM action, resource ARN."""


def missing_grants(aws: Aws, role_arn: str, required: Iterator[RequiredGrant]) -> list[str]:
    """A sentence for each required grant that the role lacks.

    Raises:
        ClientError: the emulator refused a call.
    """
    role = role_arn.rpartition("/")[2]
    statements = role_statements(aws, role)
    return [
        f"{what} needs {action} on {resource}, which role {role} does not grant"
        for what, action, resource in required
        if not allows(statements, action, resource)
    ]


def role_statements(aws: Aws, role: str) -> list[Statement]:
    """Every statement of the role's inline and attached policies; none when the role does not exist.

    Raises:
        ClientError: the emulator refused a call for another reason.
    """
    iam = aws.client("iam")
    try:
        names = iam.list_role_policies(RoleName=role)["PolicyNames"]
        documents = [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]
        for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
            arn = attached["PolicyArn"]
            version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            documents.append(iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"])
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchEntity":
            return []
        raise
    return [statement for document in documents for statement in _statements(document)]


def _statements(document: Any) -> list[Statement]:
    parsed = json.loads(unquote(document)) if isinstance(document, str) else document
    found = parsed.get("Statement", [])
    return [found] if isinstance(found, dict) else list(found)


def required_by_secrets(secrets: Mapping[str, str]) -> Iterator[RequiredGrant]:
    """Grants that an execution role needs to inject `secrets` (`valueFrom` by variable name) into a container.

    Source: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_execution_IAM_role.html.
    """
    for name, value_from in secrets.items():
        if ":secretsmanager:" in value_from:
            yield f"secret {name}", "secretsmanager:GetSecretValue", secret_arn(value_from)
        else:
            yield f"secret {name}", "ssm:GetParameters", value_from


def required_by_variables(variables: Mapping[str, str]) -> Iterator[RequiredGrant]:
    """Grants that a task or function role needs for the resources that its variables (value by name) reference."""
    for name, value in variables.items():
        if name.endswith("SECRET_ARN"):
            yield f"variable {name}", "secretsmanager:GetSecretValue", value
        elif name.endswith("QUEUE_URL"):
            queue = urlsplit(value).path.rpartition("/")[2]
            yield f"variable {name}", "sqs:SendMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{queue}"
        elif name == "WATERMARK_PARAMETER_NAME":
            parameter = f"arn:aws:ssm:{REGION}:{ACCOUNT_ID}:parameter/{value.lstrip('/')}"
            for action in ("ssm:GetParameter", "ssm:PutParameter"):
                yield f"variable {name}", action, parameter
        elif name in ("LLM_ENDPOINT_NAME", "LLM_INFERENCE_COMPONENT_NAME"):
            kind = "endpoint" if name == "LLM_ENDPOINT_NAME" else "inference-component"
            resource = f"arn:aws:sagemaker:{REGION}:{ACCOUNT_ID}:{kind}/{value}"
            for action in ("sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"):
                yield f"variable {name}", action, resource


def secret_arn(value_from: str) -> str:
    """The secret's ARN in an ECS `valueFrom`, which may continue with JSON key, version stage and version id.

    Source: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html.
    """
    return ":".join(value_from.split(":")[:7])
