"""SageMaker's control plane: errors, lists, and waiting for the process that runs the containers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.runner.aws import Aws
from tests.aws import CREDENTIALS
from tests.integration.emulator.cases import IMAGE, ROLE
from tests.integration.emulator.conftest import Emulator, Resources, Stacks, eventually, running

STACK = "held"
ENDPOINT = "held"
COMPONENT = "held-model"
SHORT_TIMEOUT_SECONDS = 1


def model(name: str) -> dict[str, Any]:
    properties = {"ModelName": name, "ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": IMAGE}}
    return {"Type": "AWS::SageMaker::Model", "Properties": properties}


def config(**variant: Any) -> dict[str, Any]:
    common = {"VariantName": "main", "InstanceType": "ml.g6.xlarge", "InitialInstanceCount": 1}
    properties = {"ExecutionRoleArn": ROLE, "ProductionVariants": [{**common, **variant}]}
    return {"Type": "AWS::SageMaker::EndpointConfig", "Properties": properties}


def endpoint(name: str = ENDPOINT) -> dict[str, Any]:
    properties = {"EndpointName": name, "EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]}}
    return {"Type": "AWS::SageMaker::Endpoint", "Properties": properties}


def with_container(name: str) -> Resources:
    """An endpoint whose variant runs the model `name`."""
    served = config(ModelName={"Fn::GetAtt": ["Model", "ModelName"]})
    return {"Model": model(name), "Config": served, "Endpoint": endpoint()}


def with_component(copies: int) -> Resources:
    """An endpoint that runs `copies` of a component's model."""
    properties = {
        "InferenceComponentName": COMPONENT,
        "EndpointName": {"Fn::GetAtt": ["Endpoint", "EndpointName"]},
        "VariantName": "main",
        "Specification": {"ModelName": {"Fn::GetAtt": ["Model", "ModelName"]}},
        "RuntimeConfig": {"CopyCount": copies},
    }
    component = {"Type": "AWS::SageMaker::InferenceComponent", "Properties": properties}
    return {"Model": model("one"), "Config": config(), "Endpoint": endpoint(), "Component": component}


class External:
    """An emulator for which the test stands in for the process that runs the containers."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self._aws = Aws(emulator.url, "", CREDENTIALS)
        self.sagemaker = emulator.client("sagemaker")
        self.stacks = Stacks(emulator.client("cloudformation"))

    def settle(self, kind: str, name: str, status: str, **more: Any) -> None:
        """Report the status of a container, as the runner does."""
        report = {"Kind": kind, "Name": name, "Status": status, **more}
        answer = self._aws.post("sagemaker", "SageMaker.LocalcloudSettle", report)
        assert answer.status_code == 200, answer.text

    def endpoint(self) -> dict[str, Any]:
        """The endpoint; empty when it does not exist."""
        found = self.sagemaker.list_endpoints(NameContains=ENDPOINT)["Endpoints"]
        return dict(self.sagemaker.describe_endpoint(EndpointName=ENDPOINT)) if found else {}

    def component(self) -> dict[str, Any]:
        """The component; empty when it does not exist."""
        found = self.sagemaker.list_inference_components(NameContains=COMPONENT)["InferenceComponents"]
        described = self.sagemaker.describe_inference_component
        return dict(described(InferenceComponentName=COMPONENT)) if found else {}

    def asleep(self) -> None:
        """Create the stack with a component, and take its copy away: SageMaker creates none without one."""
        self.stacks.start_creation(STACK, with_component(1))
        eventually(self.component, "there is no component")
        self.settle("inference-component", COMPONENT, "InService", CurrentCopyCount=1)
        assert self.stacks.settled(STACK) == "CREATE_COMPLETE", self.stacks.failures(STACK)
        self.sagemaker.update_inference_component_runtime_config(
            InferenceComponentName=COMPONENT, DesiredRuntimeConfig={"CopyCount": 0}
        )
        assert self.component()["RuntimeConfig"] == {"DesiredCopyCount": 0, "CurrentCopyCount": 0}

    def reaches(self, status: str) -> None:
        """Wait for the endpoint's status."""
        eventually(lambda: self.endpoint().get("EndpointStatus") == status, f"the endpoint is not {status}")

    def serving(self, resources: Resources) -> None:
        """Create the stack and report its endpoint in service."""
        self.stacks.start_creation(STACK, resources)
        self.reaches("Creating")
        self.settle("endpoint", ENDPOINT, "InService")
        assert self.stacks.settled(STACK) == "CREATE_COMPLETE", self.stacks.failures(STACK)


@pytest.fixture(scope="module")
def external_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[External]:
    with running(tmp_path_factory.mktemp("external"), LOCALCLOUD_CONTAINERS="external") as emulator:
        yield External(emulator)


@pytest.fixture(scope="module")
def short_timeout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[External]:
    environment = {
        "LOCALCLOUD_CONTAINERS": "external",
        "LOCALCLOUD_STABILISE_SECONDS": str(SHORT_TIMEOUT_SECONDS),
        "LOCALCLOUD_TIME_FACTOR": "1000000",
    }
    with running(tmp_path_factory.mktemp("short-timeout"), **environment) as emulator:
        yield External(emulator)


@pytest.fixture
def external(external_server: External) -> Iterator[External]:
    yield external_server
    external_server.stacks.delete(STACK)


def test_it_refuses_as_aws_does(aws: Aws) -> None:
    sagemaker = aws("sagemaker")
    wanted = {"ModelName": "once", "ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": IMAGE}}
    sagemaker.create_model(**wanted)
    with pytest.raises(ClientError, match="Cannot create already existing model"):
        sagemaker.create_model(**wanted)
    with pytest.raises(ClientError, match="Could not find endpoint-config"):
        sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="nowhere")
    with pytest.raises(ClientError, match="Could not find endpoint "):
        sagemaker.describe_endpoint(EndpointName="nowhere")
    sagemaker.delete_model(ModelName="once")
    with pytest.raises(ClientError, match="Could not find model"):
        sagemaker.delete_model(ModelName="once")


def test_lists_are_filtered_sorted_and_paginated(aws: Aws) -> None:
    sagemaker = aws("sagemaker")
    names = [f"page-{number}" for number in range(5)]
    for name in names:
        sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": IMAGE})
    pages = list(
        sagemaker.get_paginator("list_models").paginate(
            NameContains="page-", SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 2}
        )
    )
    assert [[found["ModelName"] for found in page["Models"]] for page in pages] == [names[:2], names[2:4], names[4:]]
    latest = sagemaker.list_models(NameContains="page-", MaxResults=1)["Models"]
    assert [found["ModelName"] for found in latest] == [names[-1]]
    with pytest.raises(ClientError, match="pagination token"):
        sagemaker.list_models(NextToken="elsewhere")
    for name in names:
        sagemaker.delete_model(ModelName=name)


def test_a_models_change_replaces_it_under_its_component(stacks: Stacks, aws: Aws) -> None:
    def release(engine: str) -> Resources:
        container = {"Image": IMAGE, "Environment": {"LLM_ENGINE": engine}}
        properties = {"ExecutionRoleArn": ROLE, "PrimaryContainer": container}
        return {**with_component(1), "Model": {"Type": "AWS::SageMaker::Model", "Properties": properties}}

    sagemaker = aws("sagemaker")
    assert stacks.create(STACK, release("one")) == "CREATE_COMPLETE", stacks.failures(STACK)
    names = ("Model", "Config", "Endpoint", "Component")
    before = {name: stacks.physical_id(STACK, name) for name in names}
    assert stacks.update(STACK, release("two")) == "UPDATE_COMPLETE", stacks.failures(STACK)
    after = {name: stacks.physical_id(STACK, name) for name in names}
    assert {name for name in names if after[name] != before[name]} == {"Model"}
    component = sagemaker.describe_inference_component(InferenceComponentName=COMPONENT)
    assert after["Model"].endswith(f"/{component['Specification']['ModelName']}")
    listed = sagemaker.list_models()["Models"]
    assert [found["ModelArn"] for found in listed] == [after["Model"]]
    stacks.delete(STACK)
    assert sagemaker.list_models()["Models"] == []
    assert sagemaker.list_endpoints()["Endpoints"] == []
    assert sagemaker.list_inference_components()["InferenceComponents"] == []


def test_a_component_has_a_model_for_each_instance_type(aws: Aws) -> None:
    sagemaker = aws("sagemaker")
    for name in ("large", "small"):
        sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": IMAGE})
    pools = [{"InstanceType": "ml.g6.2xlarge", "Priority": 1}, {"InstanceType": "ml.g5.2xlarge", "Priority": 2}]
    variant = {"VariantName": "main", "InitialInstanceCount": 1, "InstancePools": pools}
    variant["RoutingConfig"] = {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}

    missing = {**variant, "InstancePools": [{**pools[0], "ModelNameOverride": "absent"}]}
    with pytest.raises(ClientError, match=r"Could not find model .*absent"):
        sagemaker.create_endpoint_config(
            EndpointConfigName="pools", ExecutionRoleArn=ROLE, ProductionVariants=[missing]
        )
    sagemaker.create_endpoint_config(EndpointConfigName="pools", ExecutionRoleArn=ROLE, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="pools", EndpointConfigName="pools")
    needs = {"ComputeResourceRequirements": {"MinMemoryRequiredInMb": 1024}}
    large = {"InstanceType": "ml.g6.2xlarge", "ModelName": "large", **needs}
    small = {"InstanceType": "ml.g5.2xlarge", "ModelName": "small", **needs}
    create: dict[str, Any] = {"InferenceComponentName": "c", "EndpointName": "pools", "VariantName": "main"}
    create["RuntimeConfig"] = {"CopyCount": 1}
    one = {"ModelName": "large", **needs}
    for wrong in ({}, {"Specification": one, "Specifications": [large, small]}, {"Specifications": [large]}):
        with pytest.raises(ClientError, match="either Specification, or Specifications"):
            sagemaker.create_inference_component(**create, **wrong)
    absent = {**small, "ModelName": "absent"}
    with pytest.raises(ClientError, match=r"Could not find model .*absent"):
        sagemaker.create_inference_component(**create, Specifications=[large, absent])
    sagemaker.create_inference_component(**create, Specifications=[large, small])

    def served() -> list[str]:
        found = sagemaker.describe_inference_component(InferenceComponentName="c")
        return [each["ModelName"] for each in found["Specifications"] or [found["Specification"]]]

    assert served() == ["large", "small"]
    sagemaker.update_inference_component(InferenceComponentName="c", Specification=one)
    assert served() == ["large"]
    sagemaker.update_inference_component(InferenceComponentName="c", RuntimeConfig={"CopyCount": 0})
    assert served() == ["large"]
    sagemaker.update_inference_component(InferenceComponentName="c", Specifications=[small, large])
    assert served() == ["small", "large"]
    sagemaker.delete_inference_component(InferenceComponentName="c")
    sagemaker.delete_endpoint(EndpointName="pools")


def test_an_endpoint_is_created_when_its_containers_serve(external: External) -> None:
    external.stacks.start_creation(STACK, with_container("one"))
    external.reaches("Creating")
    assert external.stacks.status(STACK) == "CREATE_IN_PROGRESS"
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        external.sagemaker.update_endpoint(
            EndpointName=ENDPOINT, EndpointConfigName=external.endpoint()["EndpointConfigName"]
        )
    external.settle("endpoint", ENDPOINT, "InService")
    assert external.stacks.settled(STACK) == "CREATE_COMPLETE"
    assert external.endpoint()["EndpointStatus"] == "InService"


def test_containers_that_do_not_start_roll_the_creation_back(external: External) -> None:
    external.stacks.start_creation(STACK, with_container("one"))
    external.reaches("Creating")
    external.settle("endpoint", ENDPOINT, "Failed", FailureReason="the engine exited with 3")
    assert external.stacks.settled(STACK) == "ROLLBACK_COMPLETE"
    assert any("the engine exited with 3" in reason for reason in external.stacks.failures(STACK))
    assert external.endpoint() == {}


def test_an_update_is_complete_when_the_new_containers_serve(external: External) -> None:
    external.serving(with_container("one"))
    before = external.endpoint()["EndpointConfigName"]
    external.stacks.start_update(STACK, with_container("two"))
    external.reaches("Updating")
    assert external.stacks.status(STACK) == "UPDATE_IN_PROGRESS"
    external.settle("endpoint", ENDPOINT, "InService")
    assert external.stacks.settled(STACK) == "UPDATE_COMPLETE"
    after = external.endpoint()["EndpointConfigName"]
    assert after != before
    (variant,) = external.sagemaker.describe_endpoint_config(EndpointConfigName=after)["ProductionVariants"]
    assert variant["ModelName"] == "two"


def test_a_failed_update_goes_back_to_the_containers_that_served(external: External) -> None:
    external.serving(with_container("one"))
    before = external.endpoint()["EndpointConfigName"]
    external.stacks.start_update(STACK, with_container("two"))
    external.reaches("Updating")
    external.settle("endpoint", ENDPOINT, "Failed", FailureReason="out of memory")
    assert external.stacks.settled(STACK) == "UPDATE_ROLLBACK_COMPLETE"
    assert any("out of memory" in reason for reason in external.stacks.failures(STACK))
    assert external.endpoint()["EndpointConfigName"] == before
    assert external.endpoint()["EndpointStatus"] == "InService"


def test_no_copies_need_no_container_and_a_scale_out_waits_for_one(external: External) -> None:
    external.asleep()
    external.sagemaker.update_inference_component_runtime_config(
        InferenceComponentName=COMPONENT, DesiredRuntimeConfig={"CopyCount": 2}
    )
    assert external.component()["InferenceComponentStatus"] == "Updating"
    assert external.component()["RuntimeConfig"] == {"DesiredCopyCount": 2, "CurrentCopyCount": 0}
    with pytest.raises(ClientError, match="while it is in state UPDATE_RC_IN_PROGRESS"):
        external.sagemaker.update_inference_component_runtime_config(
            InferenceComponentName=COMPONENT, DesiredRuntimeConfig={"CopyCount": 1}
        )

    external.settle("inference-component", COMPONENT, "InService", CurrentCopyCount=2)
    assert external.component()["InferenceComponentStatus"] == "InService"
    assert external.component()["RuntimeConfig"] == {"DesiredCopyCount": 2, "CurrentCopyCount": 2}

    # One of the copies died; the component stays in service.
    external.settle("inference-component", COMPONENT, "InService", CurrentCopyCount=1)
    assert external.component()["RuntimeConfig"] == {"DesiredCopyCount": 2, "CurrentCopyCount": 1}
    with pytest.raises(ClientError, match=f"it has inference components {COMPONENT}"):
        external.sagemaker.delete_endpoint(EndpointName=ENDPOINT)


def test_a_failed_scale_out_keeps_the_previous_count(external: External) -> None:
    external.asleep()
    external.sagemaker.update_inference_component_runtime_config(
        InferenceComponentName=COMPONENT, DesiredRuntimeConfig={"CopyCount": 1}
    )
    external.settle("inference-component", COMPONENT, "Failed", FailureReason="no weights", CurrentCopyCount=0)
    found = external.component()
    assert (found["InferenceComponentStatus"], found["FailureReason"]) == ("InService", "no weights")
    assert found["RuntimeConfig"] == {"DesiredCopyCount": 0, "CurrentCopyCount": 0}


def test_reporting_an_unknown_resource_is_an_error(external: External) -> None:
    assert external.stacks.create(STACK, {"Model": model("one")}) == "CREATE_COMPLETE"
    with pytest.raises(AssertionError, match="Could not find endpoint "):
        external.settle("endpoint", "nowhere", "InService")


def test_containers_that_are_not_started_fail_after_the_timeout(short_timeout: External) -> None:
    assert short_timeout.stacks.create(STACK, with_container("one")) == "ROLLBACK_COMPLETE"
    expected = f"Endpoint {ENDPOINT}: it is still Creating after {SHORT_TIMEOUT_SECONDS} s"
    assert any(expected in reason for reason in short_timeout.stacks.failures(STACK)), short_timeout.stacks.failures(
        STACK
    )
    assert short_timeout.endpoint() == {}
    short_timeout.stacks.delete(STACK)


def test_an_update_without_a_report_is_undone_after_the_timeout(short_timeout: External) -> None:
    short_timeout.asleep()
    assert short_timeout.stacks.update(STACK, with_component(2)) == "UPDATE_ROLLBACK_COMPLETE"
    expected = f"InferenceComponent {COMPONENT}: it is still Updating after {SHORT_TIMEOUT_SECONDS} s"
    assert any(expected in reason for reason in short_timeout.stacks.failures(STACK)), short_timeout.stacks.failures(
        STACK
    )
    assert short_timeout.component()["RuntimeConfig"] == {"DesiredCopyCount": 0, "CurrentCopyCount": 0}
    assert short_timeout.component()["InferenceComponentStatus"] == "InService"
    short_timeout.stacks.delete(STACK)
