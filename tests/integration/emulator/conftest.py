"""One emulator for the session, and clients of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from localcloud.ports import free_port
from localcloud.process import answers
from tests.aws import KEYS, SERVER
from tests.worker_groups import share_worker

ROOT = Path(__file__).resolve().parents[3]
CAPABILITIES = ["CAPABILITY_NAMED_IAM"]
Aws = Callable[[str], Any]
Resources = Mapping[str, Any]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    share_worker(items, Path(__file__).parent)


class Emulator:
    """A running emulator."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.port = port
        self.process = process
        self._clients: dict[tuple[str, str], Any] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str, region: str = "us-east-1") -> Any:
        """A boto3 client of it, made once."""
        key = (service, region)
        if key not in self._clients:
            self._clients[key] = boto3.client(
                service,
                endpoint_url=self.url,
                region_name=region,
                **KEYS,
                config=Config(retries={"total_max_attempts": 1}),
            )
        return self._clients[key]


def command(port: int, data: Path) -> list[str]:
    """Command that starts an emulator."""
    return [sys.executable, "-m", "localcloud.emulator", "--port", str(port), "--data", str(data)]


@contextmanager
def running(data: Path, **environment: str) -> Iterator[Emulator]:
    """An emulator of its own, with `environment` on top of this process's."""
    port = free_port()
    with (data / "log").open("wb") as log:
        process = subprocess.Popen(
            command(port, data),
            cwd=ROOT,
            env={**os.environ, **SERVER, **environment},
            stdout=log,
            stderr=log,
        )
    emulator = Emulator(port, process)
    try:
        deadline = time.monotonic() + 40
        while not answers(f"{emulator.url}/_ministack/health"):
            assert process.poll() is None, (data / "log").read_text()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield emulator
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(tmp_path_factory.mktemp("emulator")) as started:
        yield started


@pytest.fixture(scope="session")
def aws(emulator: Emulator) -> Aws:
    return emulator.client


def eventually(probe: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    """The first true answer of `probe`; fails with `what` when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (answer := probe()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return answer


class Stacks:
    """Creates, updates and deletes CloudFormation stacks, and waits for their final status."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def create(self, name: str, resources: Resources, outputs: Mapping[str, Any] | None = None) -> str:
        """The status that the new stack settles in."""
        self.start_creation(name, resources, outputs)
        return self.settled(name)

    def start_creation(self, name: str, resources: Resources, outputs: Mapping[str, Any] | None = None) -> None:
        """Begin a creation without waiting."""
        self._client.create_stack(StackName=name, TemplateBody=_template(resources, outputs), Capabilities=CAPABILITIES)

    def update(self, name: str, resources: Resources, outputs: Mapping[str, Any] | None = None) -> str:
        """The status that the changed stack settles in."""
        self.start_update(name, resources, outputs)
        return self.settled(name)

    def start_update(self, name: str, resources: Resources, outputs: Mapping[str, Any] | None = None) -> None:
        """Begin an update without waiting."""
        self._client.update_stack(StackName=name, TemplateBody=_template(resources, outputs), Capabilities=CAPABILITIES)

    def delete(self, name: str) -> None:
        """Delete a stack and wait until it is gone."""
        self._client.delete_stack(StackName=name)
        status = eventually(lambda: self._deleted(name), f"{name} is still being deleted")
        assert status == "DELETE_COMPLETE", self.failures(name)

    def replacement(self, name: str, resources: Resources) -> str:
        """Whether a change set of one changed resource replaces it."""
        change_set = {"StackName": name, "ChangeSetName": "looking"}
        self._client.create_change_set(TemplateBody=_template(resources), Capabilities=CAPABILITIES, **change_set)
        described = eventually(lambda: self._change_set(change_set), "the change set is still being made")
        self._client.delete_change_set(**change_set)
        (change,) = described["Changes"]
        return str(change["ResourceChange"]["Replacement"])

    def outputs(self, name: str) -> dict[str, str]:
        """A stack's outputs."""
        found = self._client.describe_stacks(StackName=name)["Stacks"][0]["Outputs"]
        return {output["OutputKey"]: output["OutputValue"] for output in found}

    def status(self, name: str) -> str:
        """The stack's status now."""
        return str(self._client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])

    def physical_id(self, name: str, logical_id: str) -> str:
        """What Ref returns."""
        described = self._client.describe_stack_resource(StackName=name, LogicalResourceId=logical_id)
        return str(described["StackResourceDetail"]["PhysicalResourceId"])

    def physical_ids(self, name: str, logical_id: str) -> set[str]:
        """Every physical id that a resource has had."""
        events = self._events(name)
        found = (event.get("PhysicalResourceId") for event in events if event["LogicalResourceId"] == logical_id)
        return {str(physical_id) for physical_id in found if physical_id}

    def failures(self, name: str) -> list[str]:
        """Why resources failed."""
        failed = [event for event in self._events(name) if event["ResourceStatus"].endswith("_FAILED")]
        return [event.get("ResourceStatusReason", "") for event in failed]

    def settled(self, name: str) -> str:
        """The stack's status once nothing is in progress."""
        return str(eventually(lambda: self._done(name), f"{name} is still in progress", seconds=60))

    def _events(self, name: str) -> list[Any]:
        return list(self._client.describe_stack_events(StackName=name)["StackEvents"])

    def _change_set(self, change_set: Mapping[str, str]) -> Any:
        described = self._client.describe_change_set(**change_set)
        return described if described["Status"] == "CREATE_COMPLETE" else None

    def _done(self, name: str) -> str:
        status = self.status(name)
        return "" if status.endswith("_IN_PROGRESS") else status

    def _deleted(self, name: str) -> str:
        try:
            return self._done(name)
        except ClientError:
            return "DELETE_COMPLETE"


def _template(resources: Resources, outputs: Mapping[str, Any] | None = None) -> str:
    described = {name: {"Value": value} for name, value in (outputs or {}).items()}
    return json.dumps({"Resources": resources, "Outputs": described})


@pytest.fixture(scope="session")
def stacks(aws: Aws) -> Stacks:
    return Stacks(aws("cloudformation"))
