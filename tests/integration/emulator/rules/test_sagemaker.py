"""What SageMaker refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.emulator.cases import ROLE
from tests.integration.emulator.conftest import Aws, Resources, Stacks
from tests.integration.emulator.rules.codes import code_of

STACK = "refused"
AWS_IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
CUDA_12, CUDA_13 = (
    f"{AWS_IMAGE}/djl-inference:0.36.0-lmi20.0.0-cu128-v1.0",
    f"{AWS_IMAGE}/vllm:server-sagemaker-cuda-v2.3",
)
FOR_CUDA_12, FOR_CUDA_13 = "al2-ami-sagemaker-inference-gpu-3-1", "al2023-ami-sagemaker-inference-gpu-4-1"


@pytest.fixture(autouse=True)
def _clean(stacks: Stacks) -> Iterator[None]:
    yield
    stacks.delete(STACK)


def served(image: str = CUDA_13, *, component: bool = False, requirements: Any = None, **variant: Any) -> Resources:
    """An endpoint that holds a model, or has it as a component."""
    model = {"Fn::GetAtt": ["Model", "ModelName"]}
    common = {"VariantName": "main", "InstanceType": "ml.g6.2xlarge", "InitialInstanceCount": 1}
    found: dict[str, tuple[str, dict[str, Any]]] = {
        "Model": ("Model", {"ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": image}}),
        "Config": (
            "EndpointConfig",
            {
                # Components take their rights from it; a model in a variant has a role of its own.
                **({"ExecutionRoleArn": ROLE} if component else {}),
                "ProductionVariants": [{**common, **({} if component else {"ModelName": model}), **variant}],
            },
        ),
        "Endpoint": (
            "Endpoint",
            {"EndpointName": "refused", "EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]}},
        ),
    }
    if component:
        found["Component"] = (
            "InferenceComponent",
            {
                "EndpointName": {"Fn::GetAtt": ["Endpoint", "EndpointName"]},
                "VariantName": "main",
                "Specification": {
                    "ModelName": model,
                    "ComputeResourceRequirements": requirements or {"MinMemoryRequiredInMb": 1024},
                },
                "RuntimeConfig": {"CopyCount": 1},
            },
        )
    return {
        name: {"Type": f"AWS::SageMaker::{kind}", "Properties": properties}
        for name, (kind, properties) in found.items()
    }


def refused(stacks: Stacks, rule: str) -> str:
    """The reason of the resource that the rule refused in the stack."""
    (reason,) = [reason for reason in stacks.failures(STACK) if code_of(rule) in reason]
    return reason


def test_a_machine_image_that_does_not_exist(stacks: Stacks) -> None:
    assert stacks.create(STACK, served(InferenceAmiVersion="al2-ami-sagemaker-inference-gpu-9")) == "ROLLBACK_COMPLETE"
    assert "enum value set" in refused(stacks, "inference-ami-version")


def test_shells_in_containers_of_an_account_that_aws_has_not_allowed(stacks: Stacks) -> None:
    assert stacks.create(STACK, served(EnableSSMAccess=True)) == "ROLLBACK_COMPLETE"
    assert "not allowed for this account" in refused(stacks, "ssm-access")
    stacks.delete(STACK)
    assert stacks.create(STACK, served(EnableSSMAccess=False)) == "CREATE_COMPLETE"


@pytest.mark.parametrize("component", [False, True])
@pytest.mark.parametrize(("image", "machine"), [(CUDA_12, FOR_CUDA_13), (CUDA_13, FOR_CUDA_12)])
def test_a_container_without_its_driver_does_not_start(
    stacks: Stacks, image: str, machine: str, component: bool
) -> None:
    template = served(image, component=component, InferenceAmiVersion=machine)
    assert stacks.create(STACK, template) == "ROLLBACK_COMPLETE"
    assert "docker run <image> serve" in refused(stacks, "container-and-driver")


@pytest.mark.parametrize(("image", "machine"), [(CUDA_12, FOR_CUDA_12), (CUDA_13, FOR_CUDA_13)])
def test_a_container_with_its_driver_starts(stacks: Stacks, image: str, machine: str) -> None:
    assert stacks.create(STACK, served(image, component=True, InferenceAmiVersion=machine)) == "CREATE_COMPLETE"


def test_a_model_that_is_awake_does_not_move_to_a_machine_image_without_its_driver(stacks: Stacks) -> None:
    old = served(CUDA_12, component=True, InferenceAmiVersion=FOR_CUDA_12)
    assert stacks.create(STACK, old) == "CREATE_COMPLETE"
    new = served(CUDA_13, component=True, InferenceAmiVersion=FOR_CUDA_13)
    # CloudFormation updates the endpoint before the component, whose old container then starts on the new machines.
    assert stacks.update(STACK, new) == "UPDATE_ROLLBACK_COMPLETE"
    assert "docker run <image> serve" in refused(stacks, "container-and-driver")


def test_a_sleeping_model_moves_to_another_machine_image(stacks: Stacks, aws: Aws) -> None:
    old = served(CUDA_12, component=True, InferenceAmiVersion=FOR_CUDA_12)
    assert stacks.create(STACK, old) == "CREATE_COMPLETE"
    (found,) = aws("sagemaker").list_inference_components(EndpointNameEquals="refused")["InferenceComponents"]
    aws("sagemaker").update_inference_component_runtime_config(
        InferenceComponentName=found["InferenceComponentName"], DesiredRuntimeConfig={"CopyCount": 0}
    )
    new = served(CUDA_13, component=True, InferenceAmiVersion=FOR_CUDA_13)
    assert stacks.update(STACK, new) == "UPDATE_COMPLETE"


def test_a_small_machine_has_no_room_for_a_component_that_asks_for_much(stacks: Stacks) -> None:
    small = served(component=True, requirements={"MinMemoryRequiredInMb": 4096}, InstanceType="ml.g5.xlarge")
    assert stacks.create(STACK, small) == "ROLLBACK_COMPLETE"
    assert "not enough hardware resources" in refused(stacks, "component-memory")


@pytest.mark.parametrize(("instance", "megabytes"), [("ml.g5.xlarge", 1024), ("ml.g6.2xlarge", 4096)])
def test_a_component_that_asks_for_less_is_placed(stacks: Stacks, instance: str, megabytes: int) -> None:
    fitting = served(component=True, requirements={"MinMemoryRequiredInMb": megabytes}, InstanceType=instance)
    assert stacks.create(STACK, fitting) == "CREATE_COMPLETE"


@pytest.mark.parametrize(("second", "outcome"), [(4096, "ROLLBACK_COMPLETE"), (1024, "CREATE_COMPLETE")])
def test_of_several_instance_types_one_with_room_is_enough(stacks: Stacks, second: int, outcome: str) -> None:
    pools = [{"InstanceType": "ml.g5.xlarge", "Priority": 1}, {"InstanceType": "ml.g6.xlarge", "Priority": 2}]
    template = served(component=True)
    (variant,) = template["Config"]["Properties"]["ProductionVariants"]
    variant.pop("InstanceType")
    variant |= {"InstancePools": pools, "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}}
    component = template["Component"]["Properties"]
    model = component.pop("Specification")["ModelName"]
    component["Specifications"] = [
        {
            "InstanceType": pool["InstanceType"],
            "ModelName": model,
            "ComputeResourceRequirements": {"MinMemoryRequiredInMb": megabytes},
        }
        for pool, megabytes in zip(pools, (4096, second), strict=True)
    ]
    assert stacks.create(STACK, template) == outcome
    if outcome == "ROLLBACK_COMPLETE":
        assert "not enough hardware resources" in refused(stacks, "component-memory")


def scaled(instance: str) -> Resources:
    """A real-time endpoint whose number of instances is scaled."""
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/refused/variant/main",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        "MinCapacity": 1,
        "MaxCapacity": 2,
    }
    scalable = {
        "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
        "Properties": target,
        "DependsOn": "Endpoint",
    }
    return {**served(InstanceType=instance), "Target": scalable}


def test_the_instance_type_of_a_scaled_variant_does_not_change(stacks: Stacks) -> None:
    assert stacks.create(STACK, scaled("ml.g6.2xlarge")) == "CREATE_COMPLETE"
    assert stacks.update(STACK, scaled("ml.g6e.2xlarge")) == "UPDATE_ROLLBACK_COMPLETE"
    assert "deregister it first" in refused(stacks, "instance-type-under-autoscaling")


def test_the_instance_type_of_a_components_variant_may_change(stacks: Stacks) -> None:
    def template(instance: str) -> Resources:
        return served(component=True, InstanceType=instance)

    assert stacks.create(STACK, template("ml.g6.2xlarge")) == "CREATE_COMPLETE"
    assert stacks.update(STACK, template("ml.g6e.2xlarge")) == "UPDATE_COMPLETE"
