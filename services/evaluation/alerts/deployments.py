"""The last deployment of a stage, the first thing to look at when answers become worse."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

logger = logging.getLogger(__name__)


def last_deployment(client: Any, stacks: Sequence[str], release: str) -> str | None:
    """The stack of `stacks` that changed last, when, and the release; None when none of them can be described.

    An alert without it is better than no alert, so that no error of CloudFormation is raised.

    Args:
        client: of `cloudformation`.
        stacks: stack names.
        release: the release that runs, empty when it is not known.
    """
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
