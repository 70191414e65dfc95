"""Values of a task definition's secrets, resolved as the ECS agent does.

Source: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/specifying-sensitive-data.html.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from botocore.exceptions import ClientError

from localcloud.runner.aws import Aws
from localcloud.runner.grants import secret_arn


class SecretError(RuntimeError):
    """A secret cannot be injected into the container; the message names it and never contains its value."""


def resolve(aws: Aws, secrets: Mapping[str, str]) -> dict[str, str]:
    """Secret values by variable name.

    Args:
        aws: clients of the emulator.
        secrets: `valueFrom` by variable name: ARN of a Secrets Manager secret, or name or ARN of an SSM parameter.

    Raises:
        SecretError: one of them does not exist or lacks the JSON key of its `valueFrom`.
    """
    return {name: _value(aws, name, value_from) for name, value_from in secrets.items()}


def _value(aws: Aws, name: str, value_from: str) -> str:
    try:
        if ":secretsmanager:" not in value_from:
            found = aws.client("ssm").get_parameter(
                Name=value_from.rpartition(":parameter")[2] or value_from, WithDecryption=True
            )
            return str(found["Parameter"]["Value"])
        document = str(aws.client("secretsmanager").get_secret_value(SecretId=secret_arn(value_from))["SecretString"])
    except ClientError as error:
        reason = error.response["Error"]["Message"]
        raise SecretError(f"secret {name} cannot be read from {value_from}: {reason}") from None
    key = (value_from.split(":")[7:] or [""])[0]
    if not key:
        return document
    try:
        return str(json.loads(document)[key])
    except (ValueError, KeyError, TypeError):
        raise SecretError(f"secret {name}: {secret_arn(value_from)} holds no JSON key {key!r}") from None
