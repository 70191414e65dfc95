"""One emulator for the session, and clients of it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from localcloud.ports import free_port
from localcloud.process import answers

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def emulator_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port, data = free_port(), tmp_path_factory.mktemp("emulator")
    with (data / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "localcloud.emulator", "--port", str(port), "--data", str(data)],
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 40
    while not answers(f"{url}/_ministack/health"):
        assert process.poll() is None, (data / "log").read_text()[-2000:]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    yield url
    process.terminate()
    process.wait(10)


@pytest.fixture(scope="session")
def aws(emulator_url: str) -> Callable[[str], Any]:
    def client(service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=emulator_url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    return client


class Stacks:
    """Creates, updates and deletes CloudFormation stacks, and waits for what came of it."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def create(self, name: str, resources: dict[str, Any]) -> str:
        self._client.create_stack(StackName=name, TemplateBody=_template(resources), DisableRollback=False)
        return self._settled(name)

    def update(self, name: str, resources: dict[str, Any]) -> str:
        self._client.update_stack(StackName=name, TemplateBody=_template(resources))
        return self._settled(name)

    def delete(self, name: str) -> None:
        self._client.delete_stack(StackName=name)
        self._client.get_waiter("stack_delete_complete").wait(
            StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
        )

    def physical_id(self, name: str, logical_id: str) -> str:
        described = self._client.describe_stack_resource(StackName=name, LogicalResourceId=logical_id)
        return str(described["StackResourceDetail"]["PhysicalResourceId"])

    def failures(self, name: str) -> list[str]:
        events = self._client.describe_stack_events(StackName=name)["StackEvents"]
        return [e.get("ResourceStatusReason", "") for e in events if e["ResourceStatus"].endswith("_FAILED")]

    def _settled(self, name: str) -> str:
        deadline = time.monotonic() + 60
        while True:
            status = str(self._client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])
            if not status.endswith("_IN_PROGRESS"):
                return status
            assert time.monotonic() < deadline, status
            time.sleep(0.1)


def _template(resources: dict[str, Any]) -> str:
    return json.dumps({"Resources": resources})


@pytest.fixture(scope="session")
def stacks(aws: Callable[[str], Any]) -> Stacks:
    return Stacks(aws("cloudformation"))
