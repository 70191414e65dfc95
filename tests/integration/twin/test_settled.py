"""The wait for an endpoint whose stack CloudFormation's express mode has called complete."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.aws import aws_environment
from tests.integration.emulator.conftest import running
from tests.integration.emulator.test_sagemaker import COMPONENT, ENDPOINT, STACK, External, with_component
from twin.deploy import settled
from twin.target.errors import TwinError
from twin.target.stage import Stage

OUTPUTS = {"EndpointName": ENDPOINT, "InferenceComponentName": COMPONENT}


@pytest.fixture
def external(tmp_path: Path) -> Iterator[External]:
    """An emulator whose stack is complete, in express mode, while its component is being created."""
    with running(tmp_path, LOCALCLOUD_CONTAINERS="external") as emulator, pytest.MonkeyPatch.context() as patch:
        for name, value in aws_environment(emulator.url).items():
            patch.setenv(name, value)
        found = External(emulator)
        template, express = json.dumps({"Resources": with_component(1)}), {"Mode": "EXPRESS"}
        emulator.client("cloudformation").create_stack(
            StackName=STACK, TemplateBody=template, DeploymentConfig=express, Capabilities=["CAPABILITY_NAMED_IAM"]
        )
        assert found.stacks.settled(STACK) == "CREATE_COMPLETE", found.stacks.failures(STACK)
        yield found


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as found:
        yield found


def begin(pool: ThreadPoolExecutor) -> tuple[Future[None], list[str]]:
    """The wait, and what it says; it has looked once."""
    said: list[str] = []
    looked = threading.Event()

    def tell(line: str) -> None:
        said.append(line)
        looked.set()

    waiting = pool.submit(settled.wait_until_settled, Stage("pr-7", "us-east-1"), OUTPUTS, tell)
    assert looked.wait(30)
    return waiting, said


def test_it_ends_when_the_model_is_in_service_and_says_what_it_waits_for(
    external: External, pool: ThreadPoolExecutor
) -> None:
    waiting, said = begin(pool)
    assert not waiting.done()
    external.settle("inference-component", COMPONENT, "InService", CurrentCopyCount=1)
    waiting.result(60)
    assert "inference component is Creating" in said[0]
    assert len(said) == len(set(said))


def test_a_model_that_fails_after_its_stack_is_an_error_with_sagemakers_reason(
    external: External, pool: ThreadPoolExecutor
) -> None:
    waiting, _ = begin(pool)
    external.settle("inference-component", COMPONENT, "Failed", Reason="the container died")
    with pytest.raises(TwinError, match="inference component of stage pr-7 has failed") as raised:
        waiting.result(60)
    assert "nothing was rolled back" in str(raised.value)


def test_an_hour_is_the_end(external: External, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settled, "SECONDS", 0.0)
    with pytest.raises(TwinError, match="minutes: inference component is Creating"):
        settled.wait_until_settled(Stage("pr-7", "us-east-1"), OUTPUTS, lambda _: None)
