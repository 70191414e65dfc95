"""The CDK command line's output becomes progress and a readable failure."""

from __future__ import annotations

import pytest

from twin.target import cdk

CREATED = (
    "twin-local-llm |  7/12 | 3:04:05 AM | CREATE_COMPLETE      "
    "| AWS::SageMaker::Endpoint           | Llm/Endpoint (LlmEndpoint1)"
)
FAILED = (
    "twin-local-llm |  8/12 | 3:04:06 AM | CREATE_FAILED        "
    "| AWS::SageMaker::InferenceComponent | Llm/Component (C1) The container exited: LLM_ENGINE is wrong"
)


def test_a_completed_resource_is_progress() -> None:
    seen: list[str] = []
    cdk._follow(CREATED, [], seen.append)
    assert len(seen) == 1
    assert "AWS::SageMaker::Endpoint" in seen[0]
    assert "7/12" in seen[0]


def test_a_failed_resource_is_named_with_its_reason() -> None:
    failures: list[str] = []
    cdk._follow(FAILED, failures, None)
    message = cdk._explain("deploy", failures, [])
    assert "twin-local-llm" in message
    assert "AWS::SageMaker::InferenceComponent" in message
    assert "LLM_ENGINE is wrong" in message


def test_without_a_failed_resource_the_end_of_the_output_is_shown() -> None:
    assert "no such context" in cdk._explain("synth", [], ["", "no such context"])


@pytest.mark.parametrize("line", ["", "some text", "twin-local-llm: deploying... [1/5]"])
def test_other_lines_are_neither(line: str) -> None:
    failures: list[str] = []
    cdk._follow(line, failures, failures.append)
    assert failures == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            FAILED,
            (
                "twin-local-llm",
                "AWS::SageMaker::InferenceComponent",
                "C1",
                "The container exited: LLM_ENGINE is wrong",
            ),
        ),
        (
            "twin-dev-llm | 1/3 | 3:04:06 AM | CREATE_FAILED | AWS::SNS::Topic | Topic1 Rate exceeded (Service: Sns)",
            ("twin-dev-llm", "AWS::SNS::Topic", "Topic1", "Rate exceeded (Service: Sns)"),
        ),
    ],
)
def test_a_failed_resource_is_told_at_once(line: str, told: tuple[str, ...]) -> None:
    seen: list[tuple[str, ...]] = []
    cdk._follow(line, [], None, lambda *parts: seen.append(parts))
    assert seen == [told]
