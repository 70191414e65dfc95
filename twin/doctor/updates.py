"""Checks that the existing endpoint can be updated to what the settings say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from infra.settings.llm_images import CUDA_OF_AMI
from twin.doctor import fit
from twin.doctor.check import Check
from twin.doctor.context import Context
from twin.doctor.finding import UNCHECKED, Finding, failed, ok, skipped, warning

MODE, ROOM, MOVE = "Mode of the endpoint", "Room for an update", "Move to another GPU driver"
TYPE = "Instance type of the endpoint"
IN_TRANSITION = ("Creating", "Updating", "Deleting")
"""Values of InferenceComponentStatus."""


def _mode(context: Context) -> Iterator[Finding]:
    client, names, wanted = context.stage.client("sagemaker"), context.names, context.known.llm.mode
    endpoint = _described(client.describe_endpoint, EndpointName=names.endpoint)
    if endpoint is None:
        yield skipped(MODE, "skipped: there is no endpoint")
        return
    config = client.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    holds_model = any(variant.get("ModelName") for variant in config["ProductionVariants"])
    existing = "real-time" if holds_model else "inference-component"
    if existing == wanted:
        yield ok(MODE, existing)
        return
    stack = names.stack("llm")
    fix = f"`aws cloudformation delete-stack --stack-name {stack}`, then deploy; or set `mode` in [llm] back"
    why = "SageMaker does not turn one into the other, and the update rolls back"
    yield failed(MODE, f"{names.endpoint} is {existing}, the settings say {wanted}", why, fix)


def _room(context: Context) -> Iterator[Finding]:
    """Check that the component can be updated now, and for a GPU: a new copy starts before the old one stops."""
    llm, name = context.known.llm, context.names.inference_component
    client = context.stage.client("sagemaker")
    component = _described(client.describe_inference_component, InferenceComponentName=name)
    state = str((component or {}).get("InferenceComponentStatus", ""))
    if state in IN_TRANSITION:
        # https://github.com/huggingface/skills/blob/main/skills/hf-cloud-sagemaker-production-defaults/SKILL.md
        why = "SageMaker refuses changes of a component that is created, woken or scaled, and the stack rolls back"
        yield failed(ROOM, f"{name} is {state}", why, "deploy some minutes later, when it is InService")
        return
    copies = int((component or {}).get("RuntimeConfig", {}).get("CurrentCopyCount", 0))
    if not copies:
        yield skipped(ROOM, "skipped: no copy of the model is awake")
        return
    try:
        places = llm.max_instances * (fit.gpus_of(llm.instance_type).count // llm.accelerators)
    except fit.FitUnknownError as error:
        yield warning(ROOM, str(error), UNCHECKED, "compare copies and GPUs by hand")
        return
    seen = f"{copies} awake, places for {places}"
    if places > copies:
        yield ok(ROOM, seen)
        return
    why = "a change of the model waits for a GPU until its time limit, and rolls back; other changes do not"
    fix = f"a higher `max_instances` in [llm] (and quota), or put it to sleep first: {_sleep(name)}"
    yield warning(ROOM, seen, why, fix)


def _move(context: Context) -> Iterator[Finding]:
    """Check that the copies that run now could start on the machine image of the settings.

    CloudFormation updates the endpoint before the component, so the new machines start the old container first.
    """
    client, names = context.stage.client("sagemaker"), context.names
    wanted = context.known.llm.ami_version
    endpoint = _described(client.describe_endpoint, EndpointName=names.endpoint)
    if endpoint is None or not _awake(client, names.inference_component):
        yield skipped(MOVE, "skipped: no copy of the model is awake")
        return
    config = client.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    existing = str(config["ProductionVariants"][0].get("InferenceAmiVersion", ""))
    if CUDA_OF_AMI.get(existing, 0) == CUDA_OF_AMI.get(wanted, 0):
        yield ok(MOVE, f"none: {existing}")
        return
    why = "the container that runs now cannot start on the new machines: the update hangs, then rolls back"
    fix = f"put the model to sleep, then deploy: {_sleep(names.inference_component)}"
    yield failed(MOVE, f"{existing} becomes {wanted} while a copy is awake", why, fix)


def _type(context: Context) -> Iterator[Finding]:
    """Check that a variant which Application Auto Scaling has registered keeps its instance types.

    https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling-update.html; a component is a target of its own.
    """
    client, names, llm = context.stage.client("sagemaker"), context.names, context.known.llm
    endpoint = _described(client.describe_endpoint, EndpointName=names.endpoint)
    if endpoint is None or llm.mode != "real-time":
        yield skipped(TYPE, "skipped: there is no real-time endpoint")
        return
    config = client.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    (variant,) = config["ProductionVariants"]
    pools = sorted(variant.get("InstancePools", ()), key=lambda pool: int(pool["Priority"]))
    existing = tuple(pool["InstanceType"] for pool in pools) or (variant["InstanceType"],)
    scaling = context.stage.client("application-autoscaling")
    resource = f"endpoint/{names.endpoint}/variant/{variant['VariantName']}"
    targets = scaling.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[resource])["ScalableTargets"]
    if existing == llm.instance_types or not targets:
        yield ok(TYPE, ", ".join(existing))
        return
    stack = names.stack("llm")
    seen = f"{', '.join(existing)}, the settings say {', '.join(llm.instance_types)}"
    why = "SageMaker refuses another type while the endpoint is scaled, and the update rolls back"
    fix = f"`aws cloudformation delete-stack --stack-name {stack}`, then deploy; or set the type in [llm] back"
    yield failed(TYPE, seen, why, fix)


def _awake(client: Any, component: str) -> int:
    """Copies of the model that run now."""
    found = _described(client.describe_inference_component, InferenceComponentName=component)
    return int((found or {}).get("RuntimeConfig", {}).get("CurrentCopyCount", 0))


def _sleep(component: str) -> str:
    """The command that takes every copy away."""
    options = f"--inference-component-name {component} --desired-runtime-config CopyCount=0"
    return f"`aws sagemaker update-inference-component-runtime-config {options}`"


def _described(describe: Any, **names: str) -> Mapping[str, Any] | None:
    """The resource of this name, or None."""
    try:
        found: Mapping[str, Any] = describe(**names)
    except ClientError as error:
        if "Could not find" not in str(error):
            raise
        return None
    return found


CHECKS = (Check(MODE, _mode), Check(ROOM, _room), Check(MOVE, _move), Check(TYPE, _type))
