"""A component that is being created or woken refuses its deletion; the deletion of the stage goes on when it may."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.aws import aws_environment
from tests.integration.delete.conftest import TAGS
from tests.integration.emulator.conftest import running
from tests.integration.emulator.test_sagemaker import IMAGE, ROLE, External
from twin.delete.delete import delete
from twin.target.stage import Stage

ENDPOINT, COMPONENT = "twin-local-llm", "twin-local-llm-model"


@pytest.fixture
def external(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[External]:
    with running(tmp_path_factory.mktemp("external"), LOCALCLOUD_CONTAINERS="external") as emulator:
        for name, value in aws_environment(emulator.url).items():
            monkeypatch.setenv(name, value)
        yield External(emulator)


def _create(sagemaker: Any) -> None:
    variant = {"VariantName": "AllTraffic", "InstanceType": "ml.g6.2xlarge", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(
        EndpointConfigName=ENDPOINT, ExecutionRoleArn=ROLE, ProductionVariants=[variant], Tags=TAGS
    )
    sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName=ENDPOINT, Tags=TAGS)
    sagemaker.create_inference_component(
        InferenceComponentName=COMPONENT,
        EndpointName=ENDPOINT,
        VariantName="AllTraffic",
        Specification={
            "Container": {"Image": IMAGE},
            "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 1024, "NumberOfAcceleratorDevicesRequired": 1},
        },
        RuntimeConfig={"CopyCount": 1},
        Tags=TAGS,
    )


def _deleted_after(external: External, status: str) -> tuple[list[str], list[Any]]:
    """What a deletion says that begins in a transition, which ends with `status` once it was refused."""
    said: list[str] = []
    left: list[Any] = []
    refused = threading.Event()

    def progress(line: str) -> None:
        said.append(line)
        if "while it is in state" in line:
            refused.set()

    deletion = threading.Thread(target=lambda: left.append(delete(Stage("local", "us-east-1"), progress)))
    deletion.start()
    assert refused.wait(60), said
    external.settle("inference-component", COMPONENT, status)
    deletion.join(100)
    assert not deletion.is_alive()
    return said, left


@pytest.mark.parametrize("status", ["InService", "Failed"])
def test_one_that_is_being_created(external: External, status: str) -> None:
    _create(external.sagemaker)
    with pytest.raises(ClientError, match="while it is in state CREATE_IN_PROGRESS"):
        external.sagemaker.delete_inference_component(InferenceComponentName=COMPONENT)
    said, left = _deleted_after(external, status)
    assert left == [[]], said
    assert len([line for line in said if "while it is in state" in line]) == 1


def test_one_that_is_waking(external: External) -> None:
    _create(external.sagemaker)
    external.settle("inference-component", COMPONENT, "InService")
    external.sagemaker.update_inference_component_runtime_config(
        InferenceComponentName=COMPONENT, DesiredRuntimeConfig={"CopyCount": 2}
    )
    said, left = _deleted_after(external, "InService")
    assert left == [[]], said
    assert external.sagemaker.list_endpoints()["Endpoints"] == []


def test_an_endpoint_that_is_being_updated(external: External) -> None:
    """SageMaker refuses its deletion: rule `endpoint-in-transition`."""
    sagemaker = external.sagemaker
    sagemaker.create_model(ModelName=ENDPOINT, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": IMAGE}, Tags=TAGS)
    variant = {"VariantName": "AllTraffic", "InstanceType": "ml.g6.2xlarge", "InitialInstanceCount": 1}
    for name in (ENDPOINT, f"{ENDPOINT}-next"):
        sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[{**variant, "ModelName": ENDPOINT}], Tags=TAGS
        )
    sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName=ENDPOINT, Tags=TAGS)
    external.settle("endpoint", ENDPOINT, "InService")
    sagemaker.update_endpoint(EndpointName=ENDPOINT, EndpointConfigName=f"{ENDPOINT}-next")
    said: list[str] = []
    left: list[Any] = []
    waiting = threading.Event()

    def progress(line: str) -> None:
        said.append(line)
        if f"{ENDPOINT}: Updating" in line:
            waiting.set()

    deletion = threading.Thread(target=lambda: left.append(delete(Stage("local", "us-east-1"), progress)))
    deletion.start()
    assert waiting.wait(60), said
    external.settle("endpoint", ENDPOINT, "InService")
    deletion.join(100)
    assert left == [[]], said
    assert not [line for line in said if "Cannot update in-progress endpoint" in line]


class Denied(Stage):
    """A stage whose caller may not delete components; the emulator grants everything."""

    def _new_client(self, service: str, **config: Any) -> Any:
        client = super()._new_client(service, **config)
        client.meta.events.register("before-call.sagemaker.DeleteInferenceComponent", self._refuse)
        return client

    @staticmethod
    def _refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DeleteInferenceComponent")


def test_a_right_that_is_missing_is_not_waited_for(external: External) -> None:
    _create(external.sagemaker)
    external.settle("inference-component", COMPONENT, "InService")
    with pytest.raises(ClientError, match="AccessDeniedException"):
        delete(Denied("local", "us-east-1"), lambda line: None)
    assert external.sagemaker.list_endpoints()["Endpoints"]
