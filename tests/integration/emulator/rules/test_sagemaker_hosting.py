"""What SageMaker refuses of endpoints and components: states, configurations, placement and quotas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.emulator.cases import IMAGE, ROLE
from tests.integration.emulator.conftest import Aws, Emulator, Stacks, running
from tests.integration.emulator.rules.refusals import assert_call_refused, assert_stack_refused, resource
from tests.integration.emulator.rules.test_sagemaker import served
from tests.integration.emulator.test_sagemaker import External

NAME = "hosted"
HARDWARE = "There is not enough hardware resources on the instances for this endpoint"


@pytest.fixture(scope="module")
def external(tmp_path_factory: pytest.TempPathFactory) -> Iterator[External]:
    with running(tmp_path_factory.mktemp("hosting"), LOCALCLOUD_CONTAINERS="external") as emulator:
        yield External(emulator)


def variant(**more: Any) -> dict[str, Any]:
    """A variant for components."""
    return {"VariantName": "main", "InstanceType": "ml.g6.2xlarge", "InitialInstanceCount": 1, **more}


def configuration(name: str = NAME, *variants: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Arguments of CreateEndpointConfig."""
    wanted = list(variants) or [variant()]
    return {"EndpointConfigName": name, "ExecutionRoleArn": ROLE, "ProductionVariants": wanted, **more}


def component(copies: int = 1, name: str = NAME, **needs: int) -> dict[str, Any]:
    """Arguments of CreateInferenceComponent."""
    requirements = {"MinMemoryRequiredInMb": 1024, **needs}
    return {
        "InferenceComponentName": name,
        "EndpointName": NAME,
        "VariantName": "main",
        "Specification": {"Container": {"Image": IMAGE}, "ComputeResourceRequirements": requirements},
        "RuntimeConfig": {"CopyCount": copies},
    }


def hosted(sagemaker: Any, *variants: dict[str, Any]) -> None:
    """An endpoint for components."""
    sagemaker.create_endpoint_config(**configuration(NAME, *variants))
    sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)


def removed(sagemaker: Any) -> None:
    """Delete what the tests make, in the order that SageMaker asks for."""
    for each in sagemaker.list_inference_components()["InferenceComponents"]:
        sagemaker.delete_inference_component(InferenceComponentName=each["InferenceComponentName"])
    for each in sagemaker.list_endpoints()["Endpoints"]:
        sagemaker.delete_endpoint(EndpointName=each["EndpointName"])
    for each in sagemaker.list_endpoint_configs()["EndpointConfigs"]:
        sagemaker.delete_endpoint_config(EndpointConfigName=each["EndpointConfigName"])
    for each in sagemaker.list_models()["Models"]:
        sagemaker.delete_model(ModelName=each["ModelName"])


def test_a_component_in_transition_is_neither_deleted_nor_changed(external: External) -> None:
    rule, sagemaker, named = "component-in-transition", external.sagemaker, {"InferenceComponentName": NAME}
    hosted(sagemaker)
    sagemaker.create_inference_component(**component())
    delete, update = sagemaker.delete_inference_component, sagemaker.update_inference_component
    copies = sagemaker.update_inference_component_runtime_config
    specification = component()["Specification"]
    words = "while it is in state CREATE_IN_PROGRESS."
    assert_call_refused(rule, 'Cannot delete inference component "arn:aws:sagemaker:us-east-1:', delete, **named)
    assert_call_refused(rule, words, delete, **named)
    assert_call_refused(rule, words, update, Specification=specification, **named)
    assert_call_refused(rule, words, copies, DesiredRuntimeConfig={"CopyCount": 2}, **named)
    external.settle("inference-component", NAME, "InService")
    copies(DesiredRuntimeConfig={"CopyCount": 2}, **named)
    words = "while it is in state UPDATE_RC_IN_PROGRESS."
    assert_call_refused(rule, words, delete, **named)
    assert_call_refused(rule, words, update, Specification=specification, **named)
    external.settle("inference-component", NAME, "InService")
    changed = component(MinMemoryRequiredInMb=2048)["Specification"]
    update(Specification=changed, **named)
    assert_call_refused(rule, "while it is in state UPDATE_IN_PROGRESS.", delete, **named)
    external.settle("inference-component", NAME, "InService")
    words = f"it has inference components {NAME}"
    assert_call_refused("endpoint-with-components", words, sagemaker.delete_endpoint, EndpointName=NAME)
    removed(sagemaker)


def test_an_endpoint_in_transition_is_neither_deleted_nor_updated(external: External) -> None:
    rule, sagemaker = "endpoint-in-transition", external.sagemaker
    sagemaker.create_model(ModelName=NAME, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": IMAGE})
    hosted(sagemaker, variant(ModelName=NAME))
    sagemaker.create_endpoint_config(**configuration("other", variant(ModelName=NAME)))
    arn = sagemaker.describe_endpoint(EndpointName=NAME)["EndpointArn"]
    words, update = f'Cannot update in-progress endpoint "{arn}".', sagemaker.update_endpoint
    for _ in ("Creating", "Updating"):
        assert_call_refused(rule, words, update, EndpointName=NAME, EndpointConfigName="other")
        assert_call_refused(rule, words, sagemaker.delete_endpoint, EndpointName=NAME)
        external.settle("endpoint", NAME, "InService")
        update(EndpointName=NAME, EndpointConfigName="other")
    external.settle("endpoint", NAME, "InService")
    removed(sagemaker)


def test_a_name_is_not_used_twice(external: External) -> None:
    rule, sagemaker = "sagemaker-name-exists", external.sagemaker
    model: dict[str, Any] = {"ModelName": NAME, "ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": IMAGE}}
    sagemaker.create_model(**model)
    hosted(sagemaker)
    sagemaker.create_inference_component(**component())
    endpoint = {"EndpointName": NAME, "EndpointConfigName": NAME}
    for kind, create, arguments in (
        ("model", sagemaker.create_model, model),
        ("endpoint-config", sagemaker.create_endpoint_config, configuration()),
        ("endpoint", sagemaker.create_endpoint, endpoint),
        ("inference-component", sagemaker.create_inference_component, component()),
    ):
        words = f'Cannot create already existing {kind} "arn:aws:sagemaker:us-east-1:'
        assert_call_refused(rule, words, create, **arguments)
    external.settle("inference-component", NAME, "InService")
    removed(sagemaker)


SCALED = {"ManagedInstanceScaling": {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 1}}
POOLS = [{"InstanceType": f"ml.g6.{size}", "Priority": 1} for size in ("xlarge", "2xlarge", "4xlarge", "8xlarge")]


def pooled(*pools: dict[str, Any], routing: str = "LEAST_OUTSTANDING_REQUESTS") -> dict[str, Any]:
    """A variant with instance pools."""
    found = variant(InstancePools=list(pools), RoutingConfig={"RoutingStrategy": routing})
    return {key: value for key, value in found.items() if key != "InstanceType"}


@pytest.mark.parametrize(
    ("rule", "words", "arguments"),
    [
        ("configuration-role", "ExecutionRoleArn is required", {**configuration(), "ExecutionRoleArn": None}),
        (
            "instance-scaling-with-model",
            "only supported for inference component endpoints",
            configuration(NAME, variant(ModelName="any", **SCALED)),
        ),
        (
            "instance-pools",
            "'productionVariants.1.member.instancePools' failed to satisfy constraint: Member must have length less",
            configuration(NAME, pooled(*POOLS, *POOLS)),
        ),
        (
            "instance-pools-routing",
            "must be LEAST_OUTSTANDING_REQUESTS",
            configuration(NAME, pooled(*POOLS, routing="RANDOM")),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_a_configuration_that_sagemaker_does_not_take(
    aws: Aws, rule: str, words: str, arguments: dict[str, Any]
) -> None:
    given = {key: value for key, value in arguments.items() if value is not None}
    assert_call_refused(rule, words, aws("sagemaker").create_endpoint_config, **given)


def test_a_configuration_with_pools_and_scaling_is_taken(aws: Aws) -> None:
    sagemaker = aws("sagemaker")
    sagemaker.create_endpoint_config(**configuration("taken", {**pooled(*POOLS), **SCALED}))
    sagemaker.delete_endpoint_config(EndpointConfigName="taken")


def test_a_region_without_scaling_to_zero(aws: Aws, emulator: Emulator) -> None:
    rule, words = "instance-scaling-to-zero", "Min instance count needs to be greater than 0"
    paris, scaled = emulator.client("sagemaker", "eu-west-3"), configuration("zero", variant(**SCALED))
    assert_call_refused(rule, words, paris.create_endpoint_config, **scaled)
    one = {"ManagedInstanceScaling": {**SCALED["ManagedInstanceScaling"], "MinInstanceCount": 1}}
    paris.create_endpoint_config(**configuration("zero", variant(**one)))
    aws("sagemaker").create_endpoint_config(**scaled)
    for client in (paris, aws("sagemaker")):
        client.delete_endpoint_config(EndpointConfigName="zero")


def test_a_variant_starts_with_an_instance(stacks: Stacks) -> None:
    rule, words = "initial-instance-count", "Member must have value greater than or equal to 1"
    config = resource(
        "SageMaker::EndpointConfig", ExecutionRoleArn=ROLE, ProductionVariants=[variant(InitialInstanceCount=0)]
    )
    assert_stack_refused(stacks, rule, words, Config=config)


@pytest.mark.parametrize(
    ("rule", "instance", "needs"),
    [
        ("component-memory", "ml.g5.xlarge", {"MinMemoryRequiredInMb": 4096}),
        ("component-memory", "ml.g6.2xlarge", {"MinMemoryRequiredInMb": 20_480}),
        ("component-accelerators", "ml.g6.2xlarge", {"NumberOfAcceleratorDevicesRequired": 2}),
        ("component-accelerators", "ml.g6.12xlarge", {"NumberOfAcceleratorDevicesRequired": 5}),
    ],
)
def test_a_component_that_no_machine_has_room_for(
    stacks: Stacks, rule: str, instance: str, needs: dict[str, int]
) -> None:
    requirements = {"MinMemoryRequiredInMb": 1024, **needs}
    assert_stack_refused(
        stacks, rule, HARDWARE, **served(component=True, requirements=requirements, InstanceType=instance)
    )


def test_a_component_is_placed_where_one_pool_has_room_and_not_enlarged_beyond_it(aws: Aws) -> None:
    sagemaker, named = aws("sagemaker"), {"InferenceComponentName": NAME}
    hosted(sagemaker, pooled(*POOLS[:2], {"InstanceType": "ml.g6.12xlarge", "Priority": 3}))
    sagemaker.create_inference_component(
        **component(NumberOfAcceleratorDevicesRequired=4, MinMemoryRequiredInMb=100_000)
    )
    large = component(NumberOfAcceleratorDevicesRequired=4, MinMemoryRequiredInMb=190_000)["Specification"]
    assert_call_refused(
        "component-memory", HARDWARE, sagemaker.update_inference_component, Specification=large, **named
    )
    many = component(NumberOfAcceleratorDevicesRequired=8)["Specification"]
    assert_call_refused(
        "component-accelerators", HARDWARE, sagemaker.update_inference_component, Specification=many, **named
    )
    removed(sagemaker)


def test_a_component_is_created_with_a_copy_and_may_lose_it_then(aws: Aws) -> None:
    rule, sagemaker = "component-copies", aws("sagemaker")
    words = "Inference components copy count an integer larger than 0"
    hosted(sagemaker)
    assert_call_refused(rule, words, sagemaker.create_inference_component, **component(0))
    sagemaker.create_inference_component(**component())
    sagemaker.update_inference_component_runtime_config(
        InferenceComponentName=NAME, DesiredRuntimeConfig={"CopyCount": 0}
    )
    removed(sagemaker)


def test_an_account_has_a_quota_of_instances_for_endpoints(aws: Aws) -> None:
    rule, sagemaker = "endpoint-instances", aws("sagemaker")
    words = (
        "The account-level service limit 'ml.p5.48xlarge for endpoint usage' is 4 Instances, with current utilization "
        "of 3 Instances and a request delta of 2 Instances."
    )
    for name, count in (("one", 1), ("two", 2), ("large", 5)):
        wanted = variant(InstanceType="ml.p5.48xlarge", InitialInstanceCount=count)
        sagemaker.create_endpoint_config(**configuration(name, wanted))
    sagemaker.create_endpoint(EndpointName="one", EndpointConfigName="one")
    sagemaker.create_endpoint(EndpointName="two", EndpointConfigName="two")
    assert_call_refused(rule, words, sagemaker.create_endpoint, EndpointName="three", EndpointConfigName="two")
    sagemaker.delete_endpoint(EndpointName="two")
    # An update starts the new fleet beside the old one.
    update = sagemaker.update_endpoint
    assert_call_refused(rule, "a request delta of 5", update, EndpointName="one", EndpointConfigName="large")
    update(EndpointName="one", EndpointConfigName="two")
    removed(sagemaker)
