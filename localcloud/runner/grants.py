"""Checks that roles grant what task definitions and functions reference: the emulator enforces IAM only in part."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from botocore.exceptions import ClientError

from localcloud.runner.aws import REGION, Aws
from localcloud.runner.policies import Statement, allows

ACCOUNT = "000000000000"
Need = tuple[str, str, str]
"""What references it (variable or secret), action, resource."""


def missing_grants(aws: Aws, role_arn: str, needs: Iterator[Need]) -> list[str]:
    """A sentence for each need that the role does not grant."""
    role = role_arn.rpartition("/")[2]
    statements = role_statements(aws, role)
    return [
        f"{what} needs {action} on {resource}, which role {role} does not grant"
        for what, action, resource in needs
        if not allows(statements, action, resource)
    ]


def role_statements(aws: Aws, role: str) -> list[Statement]:
    """Every statement of the role's inline and attached policies; none when the role is not there."""
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


def secret_needs(secrets: Mapping[str, str]) -> Iterator[Need]:
    """What an execution role needs to hand `secrets` (name to valueFrom) to a container."""
    for name, value_from in secrets.items():
        if ":secretsmanager:" in value_from:
            yield f"secret {name}", "secretsmanager:GetSecretValue", secret_arn(value_from)
        else:
            yield f"secret {name}", "ssm:GetParameters", value_from


def variable_needs(variables: Mapping[str, str]) -> Iterator[Need]:
    """What a task or function role needs for what its variables point at."""
    for name, value in variables.items():
        if name.endswith("SECRET_ARN"):
            yield f"variable {name}", "secretsmanager:GetSecretValue", value
        elif name.endswith("QUEUE_URL"):
            queue = urlsplit(value).path.rpartition("/")[2]
            yield f"variable {name}", "sqs:SendMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"
        elif name == "WATERMARK_PARAMETER_NAME":
            parameter = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{value.lstrip('/')}"
            for action in ("ssm:GetParameter", "ssm:PutParameter"):
                yield f"variable {name}", action, parameter
        elif name in ("LLM_ENDPOINT_NAME", "LLM_INFERENCE_COMPONENT_NAME"):
            kind = "endpoint" if name == "LLM_ENDPOINT_NAME" else "inference-component"
            resource = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{value}"
            for action in ("sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"):
                yield f"variable {name}", action, resource


def secret_arn(value_from: str) -> str:
    """The secret's ARN in an ECS `valueFrom`, which may go on with JSON key, version stage and version id."""
    return ":".join(value_from.split(":")[:7])
