"""Long polling: DescribeStacks calls of the CDK, which polls every five seconds, while a stack is in progress."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config

from tests.aws import KEYS
from tests.integration.emulator.conftest import Emulator, Resources, Stacks, eventually, running

STACK = "slow"


def waiting(seconds: int) -> Resources:
    """A stack that is in progress until `Handle` is called."""
    condition = {"Handle": {"Ref": "Handle"}, "Timeout": str(seconds)}
    return {
        "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
        "Condition": {"Type": "AWS::CloudFormation::WaitCondition", "Properties": condition},
    }


@pytest.fixture
def callers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def describe_as_cdk(emulator: Emulator, callers: ThreadPoolExecutor) -> Future[str]:
    """The status that a DescribeStacks call of the CDK returns."""
    client: Any = boto3.client(
        "cloudformation",
        endpoint_url=emulator.url,
        region_name="us-east-1",
        **KEYS,
        config=Config(retries={"total_max_attempts": 1}, user_agent_extra="aws-cdk/2.1148.1"),
    )
    return callers.submit(lambda: str(client.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]))


def test_the_cdk_is_answered_when_the_stack_has_settled_and_others_at_once(
    emulator: Emulator, stacks: Stacks, callers: ThreadPoolExecutor
) -> None:
    stacks.start_creation(STACK, waiting(60))
    (url,) = eventually(lambda: stacks.physical_ids(STACK, "Handle"), "the handle is not there")
    status = describe_as_cdk(emulator, callers)
    assert not wait([status], timeout=1).done
    assert stacks.status(STACK) == "CREATE_IN_PROGRESS"
    assert not status.done()
    signal_sent = json.dumps({"Status": "SUCCESS", "UniqueId": "1", "Data": "", "Reason": ""})
    httpx.put(url, content=signal_sent, trust_env=False).raise_for_status()
    assert status.result(30) == "CREATE_COMPLETE"
    stacks.delete(STACK)


def test_held_calls_are_answered_when_the_emulator_ends(tmp_path: Path, callers: ThreadPoolExecutor) -> None:
    with running(tmp_path) as emulator:
        Stacks(emulator.client("cloudformation")).start_creation(STACK, waiting(5))
        status = describe_as_cdk(emulator, callers)
        assert not wait([status], timeout=1).done
        emulator.process.send_signal(signal.SIGINT)
        assert status.result(30) == "CREATE_IN_PROGRESS"
