"""Rules of SageMaker."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from localcloud.emulator.registry import registered
from localcloud.emulator.rules.rule import Change, Checks, Values

AMI_VERSIONS = (
    "al2-ami-sagemaker-inference-gpu-2",
    "al2-ami-sagemaker-inference-gpu-2-1",
    "al2-ami-sagemaker-inference-gpu-3-1",
    "al2-ami-sagemaker-inference-neuron-2",
    "al2023-ami-sagemaker-inference-gpu-4-1",
)
CUDA_13_AMI = "al2023-ami-sagemaker-inference-gpu-4-1"
CUDA_12 = re.compile(r"[:-]cu12\d(?![\d.])|/vllm:server-sagemaker-cuda-v1\b")
CUDA_13 = re.compile(r"[:-]cu13\d(?![\d.])|/vllm:server-sagemaker-cuda-v2\b")


def stored(store: str, name: object) -> Mapping[str, Any]:
    """A model, endpoint configuration, endpoint or component by its name; empty when there is none."""
    found: Mapping[str, Any] = registered("sagemaker").store(store).get(name) or {}
    return found


def variants(config_name: object) -> list[Mapping[str, Any]]:
    """Production variants of an endpoint configuration; none when it does not exist."""
    return list(stored("configs", config_name).get("ProductionVariants", ()))


def _awake(endpoint: object, variant: str) -> list[Mapping[str, Any]]:
    """Components of a variant that have copies."""
    return [
        component
        for component in registered("sagemaker").store("components").values()
        if (component["EndpointName"], component["VariantName"]) == (endpoint, variant)
        and component["RuntimeConfig"]["CurrentCopyCount"]
    ]


def _specifications(component: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a component runs: on each of several instance types, or one for all."""
    return component.get("Specifications") or [component.get("Specification", {})]


def _ami_version(change: Change) -> Values | None:
    for variant in change.after.get("ProductionVariants", ()):
        if (named := variant.get("InferenceAmiVersion")) not in (None, *AMI_VERSIONS):
            return {"named": named, "known": ", ".join(AMI_VERSIONS)}
    return None


def _containers(change: Change) -> Iterator[tuple[Mapping[str, Any], object]]:
    """Variant and name of the model of each container that an endpoint or component will start.

    An endpoint that gets another configuration starts the copies of its components anew, on the new machines.
    """
    if change.type == "AWS::SageMaker::Endpoint":
        for variant in variants(change.after.get("EndpointConfigName")):
            yield variant, variant.get("ModelName")
            for component in _awake(change.after.get("EndpointName"), variant["VariantName"]):
                yield from ((variant, each.get("ModelName")) for each in _specifications(component))
    else:
        endpoint = stored("endpoints", change.after.get("EndpointName"))
        for variant in variants(endpoint.get("EndpointConfigName")):
            if variant["VariantName"] == change.after.get("VariantName"):
                yield from ((variant, each.get("ModelName")) for each in _specifications(change.after))


def instance_types(variant: Mapping[str, Any]) -> list[str]:
    """The one type of a variant, or those of its pools in their order."""
    if "InstanceType" in variant:
        return [str(variant["InstanceType"])]
    return [str(pool["InstanceType"]) for pool in variant.get("InstancePools", ())]


def _type_under_autoscaling(change: Change) -> Values | None:
    """An update that changes a variant's instance type, or drops a variant, while Application Auto Scaling has it."""
    if change.action != "update":
        return None
    endpoint = change.after.get("EndpointName") or change.physical_id.rpartition("/")[2]
    wanted = {each["VariantName"]: instance_types(each) for each in variants(change.after.get("EndpointConfigName"))}
    targets = {target["ResourceId"] for target in registered("application-autoscaling").store("targets").values()}
    for variant in variants(change.before.get("EndpointConfigName")):
        name = variant["VariantName"]
        if f"endpoint/{endpoint}/variant/{name}" in targets and wanted.get(name) != instance_types(variant):
            return {"variant": name, "endpoint": endpoint}
    return None


def _no_driver(change: Change) -> Values | None:
    for variant, model in _containers(change):
        image = str(stored("models", model).get("PrimaryContainer", {}).get("Image", ""))
        machine = variant.get("InferenceAmiVersion")
        wrong = CUDA_12 if machine == CUDA_13_AMI else CUDA_13
        if machine and wrong.search(image):
            return {"variant": variant["VariantName"]}
    return None


def _ssm_access(change: Change) -> Values | None:
    for variant in variants(change.after.get("EndpointConfigName")):
        if variant.get("EnableSSMAccess"):
            return {"variant": variant["VariantName"]}
    return None


CHECKS: Checks = {
    "inference-ami-version": _ami_version,
    "container-and-driver": _no_driver,
    "instance-type-under-autoscaling": _type_under_autoscaling,
    "ssm-access": _ssm_access,
}
