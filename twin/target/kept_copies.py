"""The number of the model's copies that a deployment passes on: it neither wakes the model nor takes copies away.

CloudFormation hands the template's number to SageMaker with every change of the component, and a number that is another
than the deployed template's is a change by itself: it would update a component of which nothing else has changed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from infra.settings.deployment import SettingsError, load_settings
from twin.target import cdk
from twin.target.cloudformation import CloudFormation
from twin.target.errors import TwinError
from twin.target.json_file import read_json
from twin.target.model_copies import model_copies
from twin.target.stage import Stage

VARIABLE = "TWIN_LLM__INITIAL_COPIES"
COMPONENT, MODEL = "AWS::SageMaker::InferenceComponent", "AWS::SageMaker::Model"
UNCHECKED = {"CDK_VALIDATION": "false"}
"""The deployment itself checks its templates against CloudFormation's schemas."""

Template = Mapping[str, Any]


def copies_to_pass(stage: Stage, environment: Mapping[str, str]) -> dict[str, str]:
    """The setting of the number of copies; empty where the stage's own holds: before the first deployment and in real
    time. SageMaker creates no component without a copy, so the first deployment has one at least.

    It is the present number where the deployment changes the component, and the deployed template's number otherwise.
    To know that, the stage is synthesized once, but only when these two numbers differ.

    Args:
        stage: to be deployed.
        environment: further environment of the CDK.

    Raises:
        TwinError: the stage's settings are wrong, or the synthesis fails.
    """
    try:
        llm = load_settings(stage.name).llm
    except SettingsError as error:
        raise TwinError(str(error)) from None
    copies = model_copies(stage)
    if copies is None:
        return {} if llm.initial_copies else {VARIABLE: "1"}
    most = llm.max_copies
    now = min(copies.desired, most)
    deployed = _deployed(stage)
    last = _copies(deployed)
    if last is None or last == now or last > most:
        return {VARIABLE: str(now)}
    with tempfile.TemporaryDirectory() as folder:
        cdk.synth(stage.name, {**environment, **UNCHECKED, VARIABLE: str(last)}, Path(folder))
        wanted = read_json(Path(folder) / f"{stage.stack('llm')}.template.json")
    return {VARIABLE: str(last if served(wanted) == served(deployed) else now)}


def served(template: Template) -> list[Any]:
    """Properties of the component without its number of copies, and of the models that it names.

    A changed model gets another name in its replacement, which changes a component whose text stays the same.
    """
    found: list[Any] = []
    for properties in _components(template):
        runtime = {name: value for name, value in properties.get("RuntimeConfig", {}).items() if name != "CopyCount"}
        found.append({**properties, "RuntimeConfig": runtime})
        resources = template["Resources"]
        found += [resources[name] for name in sorted(_named(properties)) if resources[name]["Type"] == MODEL]
    return [_declared(each) for each in found]


def _deployed(stage: Stage) -> Template:
    """The LLM stack's template; empty when there is none."""
    cloudformation = CloudFormation(stage)
    stack = cloudformation.stack(stage.stack("llm"))
    found: Template = {} if stack is None else cloudformation.template(stack)
    return found


def _components(template: Template) -> Iterator[Mapping[str, Any]]:
    for resource in template.get("Resources", {}).values():
        if resource["Type"] == COMPONENT:
            yield resource["Properties"]


def _copies(template: Template) -> int | None:
    for properties in _components(template):
        return int(properties["RuntimeConfig"]["CopyCount"])
    return None


def _named(value: Any) -> set[str]:
    """Logical ids that a value refers to."""
    if isinstance(value, list):
        return {name for each in value for name in _named(each)}
    if not isinstance(value, dict):
        return set()
    if "Ref" in value:
        return {str(value["Ref"])}
    if "Fn::GetAtt" in value:
        return {str(value["Fn::GetAtt"][0])}
    return {name for each in value.values() for name in _named(each)}


def _declared(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    """What CloudFormation compares: neither metadata nor the order of creation."""
    return {name: value for name, value in resource.items() if name not in ("Metadata", "DependsOn")}
