"""A deployed LLM stack changes in the emulator: what is rolled in place, what is replaced, and nobody wakes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.infra.conftest import Synthesize, Template, read
from tests.integration.delete.conftest import STAGE, Cloud
from twin.delete import delete as command
from twin.target.kept_copies import VARIABLE, copies_to_pass

COMPONENT = "twin-local-llm-model"
MODEL, CONFIG = "AWS::SageMaker::Model", "AWS::SageMaker::EndpointConfig"
CHANGES: Mapping[str, tuple[Mapping[str, str], set[str]]] = {
    "model": ({"TWIN_LLM__MODEL_ID": "Qwen/Qwen2.5-3B-Instruct"}, {MODEL}),
    "revision": ({"TWIN_LLM__MODEL_REVISION": "b" * 40}, {MODEL}),
    "instance type": ({"TWIN_LLM__INSTANCE_TYPE": "ml.g6e.2xlarge"}, {CONFIG}),
    "scaling": ({"TWIN_LLM__CONCURRENCY_PER_COPY": "4"}, set()),
}


@pytest.fixture
def deployed(cloud: Cloud) -> Iterator[Cloud]:
    cloud.create_all(["llm"])
    yield cloud
    assert command.take_down(cloud.stage, (), lambda line: None) == []


def component(cloud: Cloud) -> Any:
    return cloud.emulator.client("sagemaker").describe_inference_component(InferenceComponentName=COMPONENT)


def copies(cloud: Cloud) -> int:
    return int(component(cloud)["RuntimeConfig"]["DesiredCopyCount"])


def sleep(cloud: Cloud) -> None:
    cloud.emulator.client("sagemaker").update_inference_component_runtime_config(
        InferenceComponentName=COMPONENT, DesiredRuntimeConfig={"CopyCount": 0}
    )
    assert copies(cloud) == 0


def llm(synthesize: Synthesize, variables: Mapping[str, str]) -> Template:
    return read(synthesize(STAGE, variables), STAGE)["llm"]


def passed(cloud: Cloud, variables: Mapping[str, str]) -> dict[str, str]:
    """The number of copies that a deployment with these settings passes on."""
    return copies_to_pass(cloud.stage, {**cloud.stage.environment, **variables})


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("asleep", [False, True], ids=["awake", "asleep"])
def test_a_change_replaces_only_what_is_immutable_and_wakes_nobody(
    deployed: Cloud, synthesize: Synthesize, change: str, asleep: bool
) -> None:
    if asleep:
        sleep(deployed)
    variables, replaced = CHANGES[change]
    template = llm(synthesize, {**variables, **passed(deployed, variables)})
    before, touched = deployed.physical_ids("llm"), component(deployed)["LastModifiedTime"]
    assert deployed.update("llm", template) == "UPDATE_COMPLETE", deployed.failures("llm")
    after = deployed.physical_ids("llm")
    kinds = {template["Resources"][name]["Type"] for name in after if after[name] != before[name]}
    assert kinds == replaced
    assert component(deployed)["InferenceComponentStatus"] == "InService"
    assert copies(deployed) == (0 if asleep else 1)
    # A component of which nothing changes but its copies is not touched.
    assert (component(deployed)["LastModifiedTime"] != touched) == (change in ("model", "revision"))
    # It is the new model that the first request wakes.
    model = next(name for name, found in template["Resources"].items() if found["Type"] == MODEL)
    assert component(deployed)["Specification"]["ModelName"] == after[model].rpartition("/")[2]


def test_without_the_number_of_copies_a_new_model_would_wake_the_endpoint(
    deployed: Cloud, synthesize: Synthesize
) -> None:
    sleep(deployed)
    assert deployed.update("llm", llm(synthesize, CHANGES["model"][0])) == "UPDATE_COMPLETE"
    assert copies(deployed) == 1


def test_a_change_that_fails_puts_back_what_the_last_template_said(deployed: Cloud, synthesize: Synthesize) -> None:
    sleep(deployed)
    template = llm(synthesize, {**CHANGES["model"][0], **passed(deployed, CHANGES["model"][0])})
    before = deployed.physical_ids("llm")
    broken = {"Type": "AWS::SageMaker::Endpoint", "Properties": {"EndpointConfigName": "nowhere"}}
    broken["DependsOn"] = list(template["Resources"])
    template = {**template, "Resources": {**template["Resources"], "Broken": broken}}
    assert deployed.update("llm", template) == "UPDATE_ROLLBACK_COMPLETE"
    assert {name: after for name, after in deployed.physical_ids("llm").items() if name in before} == before
    assert component(deployed)["InferenceComponentStatus"] == "InService"
    # The number of copies with it: a roll-back is the one thing that may wake an endpoint.
    assert copies(deployed) == 1


def test_copies_are_kept_within_the_settings(deployed: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    model = CHANGES["model"][0]
    assert passed(deployed, model) == {VARIABLE: "1"}
    monkeypatch.setenv("TWIN_LLM__MAX_COPIES", "4")
    deployed.emulator.client("sagemaker").update_inference_component_runtime_config(
        InferenceComponentName=COMPONENT, DesiredRuntimeConfig={"CopyCount": 3}
    )
    assert passed(deployed, model) == {VARIABLE: "3"}
    assert passed(deployed, {}) == {VARIABLE: "1"}
    monkeypatch.setenv("TWIN_LLM__MAX_COPIES", "2")
    assert passed(deployed, model) == {VARIABLE: "2"}


def test_a_stage_that_does_not_stand_has_no_copies_to_keep(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    assert passed(cloud, {}) == {}
    # SageMaker creates no component without a copy: rule `component-copies`.
    monkeypatch.setenv(VARIABLE, "0")
    assert passed(cloud, {}) == {VARIABLE: "1"}
