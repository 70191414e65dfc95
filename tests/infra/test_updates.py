"""Effect of a changed setting on a deployed stage: updated in place, replaced, or rolled."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from .changes import NAMES_FOR_LIFE, Action, by_type, changes, create_only, fixed_names
from .conftest import Synthesize, Templates, read

MODEL: dict[str, Action] = {"SageMaker::Model": "replace", "SageMaker::InferenceComponent": "update"}
TASK: dict[str, Action] = {"ECS::TaskDefinition": "replace", "ECS::Service": "update"}
CONFIG: dict[str, Action] = {"SageMaker::EndpointConfig": "replace", "SageMaker::Endpoint": "update"}
IMAGE = "763104351884.dkr.ecr.{region}.amazonaws.com/vllm:server-sagemaker-cuda-v2.2"
CHANGES: Mapping[str, tuple[Mapping[str, str], Mapping[str, Mapping[str, Action]]]] = {
    "another model": (
        {"TWIN_LLM__MODEL_ID": "Qwen/Qwen2.5-3B-Instruct"},
        {"llm": MODEL, "business": TASK, "evaluation": {"Lambda::Function": "update"}},
    ),
    "another revision": ({"TWIN_LLM__MODEL_REVISION": "b" * 40}, {"llm": MODEL}),
    "another container": ({"TWIN_LLM__IMAGE": IMAGE}, {"llm": MODEL}),
    "another instance type": (
        {"TWIN_LLM__INSTANCE_TYPE": "ml.g6e.2xlarge"},
        # The dashboard contains the price of the instance.
        {"llm": CONFIG, "evaluation": {"CloudWatch::Dashboard": "update"}},
    ),
    "more copies": ({"TWIN_LLM__MAX_COPIES": "2"}, {"llm": {"ApplicationAutoScaling::ScalableTarget": "update"}}),
    "more instances": ({"TWIN_LLM__MAX_INSTANCES": "2"}, {"llm": CONFIG}),
    "another load per copy": (
        {"TWIN_LLM__CONCURRENCY_PER_COPY": "4"},
        {"llm": {"ApplicationAutoScaling::ScalingPolicy": "update"}},
    ),
    "more tasks": (
        {"TWIN_RAG__MAX_TASKS": "6"},
        {"business": {"ApplicationAutoScaling::ScalableTarget": "update"}},
    ),
    # The prompts are files of the service's image: either changes with the release.
    "another image or other prompts": (
        {"TWIN_RELEASE": "9.9.9"},
        # Alerts name the release.
        {"business": TASK, "evaluation": {"Lambda::Function": "update"}},
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_updates_replaces_or_rolls(dev: Templates, synthesize: Synthesize, change: str) -> None:
    variables, expected = CHANGES[change]
    changed = read(synthesize("dev", variables), "dev")
    seen: dict[str, Mapping[str, Action]] = {}
    for part, template in changed.items():
        assert set(template["Resources"]) == set(dev[part]["Resources"]), part
        found = changes(dev[part], template)
        if found:
            seen[part] = by_type(template, found)
        for name, action in found.items():
            if action == "replace":
                # A fixed name would make CloudFormation refuse, or the new resource collide with the old one.
                assert fixed_names(template["Resources"][name]) == set(), name
    assert seen == expected


def test_only_names_that_callers_know_are_fixed(dev: Templates) -> None:
    """Resources that may be replaced are named by CloudFormation; these are the exceptions."""
    fixed = {
        (resource["Type"].removeprefix("AWS::"), name)
        for template in dev.values()
        for resource in template["Resources"].values()
        for name in fixed_names(resource)
    }
    assert fixed == {
        ("SageMaker::Endpoint", "EndpointName"),
        # SageMaker writes to groups of its own choice.
        ("Logs::LogGroup", "LogGroupName"),
        # The evaluation's state must outlive its function.
        ("SSM::Parameter", "Name"),
        # Named after their target, with which they are replaced; CloudFormation has no name of its own for them.
        ("ApplicationAutoScaling::ScalingPolicy", "PolicyName"),
        # Its last step needs the name of the machine that it belongs to; only the name and the type replace it.
        ("StepFunctions::StateMachine", "StateMachineName"),
        # It is found by its name, and only a change of that replaces it.
        ("CloudWatch::Dashboard", "DashboardName"),
        # Named by the CDK after its place in the stack; nothing else replaces it.
        ("CloudWatch::CompositeAlarm", "AlarmName"),
    }


def test_no_property_of_the_endpoint_that_changes_replaces_it(dev: Templates) -> None:
    assert create_only("AWS::SageMaker::Endpoint") == {"EndpointName"}
    component = next(
        found for found in dev["llm"]["Resources"].values() if found["Type"] == "AWS::SageMaker::InferenceComponent"
    )
    assert set(NAMES_FOR_LIFE) <= set(component["Properties"])
    assert create_only("AWS::SageMaker::InferenceComponent") == set()
    service = next(found for found in dev["business"]["Resources"].values() if found["Type"] == "AWS::ECS::Service")
    rolling = service["Properties"]["DeploymentConfiguration"]
    assert rolling["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    assert (rolling["MinimumHealthyPercent"], rolling["MaximumPercent"]) == (100, 200)
