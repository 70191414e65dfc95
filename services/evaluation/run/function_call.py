"""Asynchronous start of the function that evaluates."""

from __future__ import annotations

import boto3


def start_evaluation(function_name: str) -> None:
    """Invoke `evaluate_monitoring` without waiting for its result.

    Raises:
        botocore.exceptions.ClientError: Lambda refuses.
    """
    boto3.client("lambda").invoke(FunctionName=function_name, InvocationType="Event", Payload=b"{}")
