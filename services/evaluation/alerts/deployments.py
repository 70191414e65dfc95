"""What was deployed last: the first suspect when answers turn bad."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import boto3
from botocore.exceptions import BotoCoreError, ClientError

logger = logging.getLogger(__name__)


def last_deployment(stacks: Sequence[str], release: str) -> str | None:
    """The stack of `stacks` that changed last, when, and the release; None when none of them can be described.

    A message without it is better than none, so that no trouble here is raised.
    """
    client = boto3.client("cloudformation")
    found = []
    for name in stacks:
        try:
            stack = client.describe_stacks(StackName=name)["Stacks"][0]
        except (ClientError, BotoCoreError, LookupError) as problem:
            logger.warning("stack %s cannot be described: %s", name, type(problem).__name__)
            continue
        found.append((stack.get("LastUpdatedTime") or stack["CreationTime"], name, stack["StackStatus"]))
    if not found:
        return None
    moment, name, status = max(found)
    return f"{name} at {moment:%Y-%m-%d %H:%M} UTC, {status}" + (f", release {release}" if release else "")
