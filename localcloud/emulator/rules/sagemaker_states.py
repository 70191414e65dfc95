"""Rules of SageMaker about what exists and what is in transition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from localcloud.emulator.registry import registered
from localcloud.emulator.rules.rule import Call, Checks, Values
from localcloud.emulator.services.sagemaker import (
    COMPONENT,
    ENDPOINT,
    IN_PROGRESS,
    KINDS,
    PREVIOUS,
    Kind,
    SageMaker,
)


def _current(kind: Kind, call: Call) -> Mapping[str, Any]:
    """The resource that a call names; empty when there is none."""
    found = cast(SageMaker, registered("sagemaker")).current(kind, call.parameters.get(kind.name_key))
    return found or {}


def _exists(call: Call) -> Values | None:
    (kind,) = [kind for kind in KINDS if call.operation == f"Create{kind.field}"]
    found = _current(kind, call)
    return {"kind": kind.arn, "arn": found[kind.arn_key]} if found else None


def _endpoint_in_transition(call: Call) -> Values | None:
    endpoint = _current(ENDPOINT, call)
    return {"arn": endpoint["EndpointArn"]} if endpoint.get("EndpointStatus") in IN_PROGRESS else None


def _holds_components(call: Call) -> Values | None:
    name = call.parameters.get("EndpointName")
    held = [each for each in registered("sagemaker").store("components").values() if each["EndpointName"] == name]
    return {"name": name, "components": ", ".join(each["InferenceComponentName"] for each in held)} if held else None


def _component_in_transition(call: Call) -> Values | None:
    component = _current(COMPONENT, call)
    if component.get("InferenceComponentStatus") not in IN_PROGRESS:
        return None
    before = component.get(PREVIOUS)
    if before is None:
        state = "CREATE_IN_PROGRESS"
    elif all(before.get(key) == component[key] for key in ("Specification", "Specifications")):
        state = "UPDATE_RC_IN_PROGRESS"
    else:
        state = "UPDATE_IN_PROGRESS"
    what = "delete" if call.operation.startswith("Delete") else "update"
    return {"what": what, "arn": component["InferenceComponentArn"], "state": state}


CHECKS: Checks = {
    "sagemaker-name-exists": _exists,
    "endpoint-in-transition": _endpoint_in_transition,
    "endpoint-with-components": _holds_components,
    "component-in-transition": _component_in_transition,
}
