"""Client configuration and error translation of the judges on Bedrock and SageMaker."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from services.evaluation.judges.base import ATTEMPTS, TIMEOUT_SECONDS
from services.evaluation.judges.errors import JudgeCallFailed

CONNECT_SECONDS = 5


def runtime_client(service: str, concurrency: int) -> Any:
    """A client with as many connections as calls at the same time."""
    return boto3.client(
        service,
        config=Config(
            max_pool_connections=concurrency,
            connect_timeout=CONNECT_SECONDS,
            read_timeout=TIMEOUT_SECONDS,
            retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        ),
    )


def call_failed(error: ClientError | BotoCoreError, what: str) -> JudgeCallFailed:
    """The error of a judge; the provider's message may quote a prompt and is left out."""
    if isinstance(error, ClientError):
        details = error.response.get("Error", {})
        asleep = "no capacity" in str(details.get("Message", "")).lower()
        return JudgeCallFailed(
            f"{what}: {'it sleeps and is waking' if asleep else details.get('Code', 'unknown error')}"
        )
    return JudgeCallFailed(f"{what}: {type(error).__name__}")
