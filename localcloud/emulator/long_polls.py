"""Long polling for the CDK's DescribeStacks calls of a stack in progress.

The CDK command line polls a stack every five seconds, which no option changes, while most stacks are created in one
second here. Its call is held until the stack is no longer in progress; every other caller is answered at once.

MiniStack 1.5.33 answers DescribeStacks at once, as AWS does
(https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html), so this patch of
`handle_request` is for speed, not for fidelity. It can go when the CDK's poll interval can be set.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

import ministack.services.cloudformation as cloudformation
from ministack.services.cloudformation import handlers

CDK = "aws-cdk/"
LONGEST_SECONDS = 30.0
POLL_SECONDS = 0.05

_stopping = asyncio.Event()


def install() -> None:
    """Hold the CDK's DescribeStacks calls of a stack in progress. Call it once, before the emulator serves."""
    handle = cloudformation.handle_request

    async def handle_when_settled(method: str, path: str, headers: Mapping[str, str], body: bytes, query: Any) -> Any:
        """MiniStack's entry point of CloudFormation; held for at most `LONGEST_SECONDS` and answered as it is then."""
        name = _described_stack(body) if CDK in headers.get("user-agent", "") else ""
        deadline = time.monotonic() + LONGEST_SECONDS
        while name and _in_progress(name) and not _stopping.is_set() and time.monotonic() < deadline:
            with suppress(TimeoutError):
                await asyncio.wait_for(_stopping.wait(), POLL_SECONDS)
        return await handle(method, path, headers, body, query)

    cloudformation.handle_request = handle_when_settled


def stop() -> None:
    """Answer every call that is held, since the server waits for its callers before it ends."""
    _stopping.set()


def _described_stack(body: bytes) -> str:
    """The stack that a DescribeStacks request names, or an empty string for any other request."""
    request = parse_qs(body.decode(errors="replace"))
    return request.get("StackName", [""])[0] if request.get("Action") == ["DescribeStacks"] else ""


def _in_progress(name: str) -> bool:
    status = str((handlers._resolve_stack(name) or {}).get("StackStatus"))
    return status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS"
