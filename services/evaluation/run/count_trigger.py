"""Starts an evaluation when enough new samples have come, without waiting for the hour to be over."""

from __future__ import annotations

import boto3

from services.evaluation.storage.state import State

KEY = "count/samples"


def evaluate_when_due(state: State, new: int, every: int, function_name: str) -> bool:
    """Count `new` samples; whether that made the total pass a multiple of `every`, so that an evaluation was started.

    The counter is one atomic addition, so each multiple is passed by exactly one caller however many there are. A
    batch that is delivered twice counts twice: the evaluation then comes a little early and finds fewer samples.

    Raises:
        botocore.exceptions.ClientError: the samples cannot be counted or the evaluation not be started.
    """
    total = state.add(KEY, new)
    if total // every == (total - new) // every:
        return False
    boto3.client("lambda").invoke(FunctionName=function_name, InvocationType="Event", Payload=b"{}")
    return True
