"""Answers the CDK's looks at a stack in progress as soon as there is something to see.

Between two looks the CDK waits five seconds, which no option changes, and most stacks are made in one here. Its look
is kept until the stack has settled instead; whoever else asks is answered at once.
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

_ending = asyncio.Event()


def install() -> None:
    """Keep the CDK's DescribeStacks of a stack in progress."""
    handle = cloudformation.handle_request

    async def handle_late(method: str, path: str, headers: Mapping[str, str], body: bytes, query: Any) -> Any:
        name = _looked_at(body) if CDK in headers.get("user-agent", "") else ""
        deadline = time.monotonic() + LONGEST_SECONDS
        while name and _in_progress(name) and not _ending.is_set() and time.monotonic() < deadline:
            with suppress(TimeoutError):
                await asyncio.wait_for(_ending.wait(), POLL_SECONDS)
        return await handle(method, path, headers, body, query)

    cloudformation.handle_request = handle_late


def stop() -> None:
    """Answer every look that is kept: an emulator that ends waits for its callers."""
    _ending.set()


def _looked_at(body: bytes) -> str:
    request = parse_qs(body.decode(errors="replace"))
    return request.get("StackName", [""])[0] if request.get("Action") == ["DescribeStacks"] else ""


def _in_progress(name: str) -> bool:
    status = str((handlers._resolve_stack(name) or {}).get("StackStatus"))
    return status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS"
