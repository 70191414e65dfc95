"""Checks that the existing endpoint can be updated to what the settings say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from twin.doctor import fit
from twin.doctor.check import Check
from twin.doctor.context import Context
from twin.doctor.finding import UNCHECKED, Finding, failed, ok, skipped, warning

MODE, ROOM = "Mode of the endpoint", "Room for an update"


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
    """Check for a free GPU: an update starts each new copy before it stops the old one."""
    llm, name = context.known.llm, context.names.inference_component
    client = context.stage.client("sagemaker")
    component = _described(client.describe_inference_component, InferenceComponentName=name)
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
    sleep = f"--inference-component-name {name} --desired-runtime-config CopyCount=0"
    fix = (
        "a higher `max_instances` in [llm] (and quota), or put it to sleep first: "
        f"`aws sagemaker update-inference-component-runtime-config {sleep}`"
    )
    yield warning(ROOM, seen, why, fix)


def _described(describe: Any, **names: str) -> Mapping[str, Any] | None:
    """The resource of this name, or None."""
    try:
        found: Mapping[str, Any] = describe(**names)
    except ClientError as error:
        if "Could not find" not in str(error):
            raise
        return None
    return found


CHECKS = (Check(MODE, _mode), Check(ROOM, _room))
