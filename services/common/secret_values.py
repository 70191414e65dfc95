"""Reading of secrets at run time, so that a rotation needs no deployment."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError


class SecretUnavailableError(RuntimeError):
    """A secret cannot be read or is empty; the message names the secret, never its value."""


def read_secret(client: Any, arn: str) -> str:
    """The secret's string, without white space around it.

    Args:
        client: of `secretsmanager`.
        arn: ARN or name of the secret.

    Raises:
        SecretUnavailableError: it does not exist, may not be read, or is empty.
    """
    try:
        value = client.get_secret_value(SecretId=arn).get("SecretString", "")
    except ClientError as error:
        code = error.response["Error"]["Code"]
        raise SecretUnavailableError(f"Secrets Manager does not give {arn}: {code}") from None
    except BotoCoreError as error:
        raise SecretUnavailableError(f"Secrets Manager does not give {arn}: {type(error).__name__}") from None
    if not str(value).strip():
        raise SecretUnavailableError(f"the secret {arn} is empty")
    return str(value).strip()
