"""Deleting expired stacks through CloudFormation, where there is nothing to park."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import boto3
import pytest
from botocore.exceptions import ClientError

from localcloud.emulator.faults import FAULT
from services.common.lambda_runtime import LambdaContext, start
from services.common.settings import ConfigurationError
from services.guard import stack_deletion
from services.guard.handlers.expire import act, handler
from services.guard.model_stop import ModelStop
from services.guard.settings import ExpireSettings

DELETE = {"action": "delete"}


@pytest.fixture
def stacks(aws: str) -> Iterator[list[str]]:
    """Two stacks, of which the first imports from the second."""
    cloudformation = boto3.client("cloudformation")
    exporter = {
        "Resources": {"P": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "v"}}},
        "Outputs": {"Name": {"Value": {"Ref": "P"}, "Export": {"Name": "expire-test"}}},
    }
    importer = {
        "Resources": {
            "P": {
                "Type": "AWS::SSM::Parameter",
                "Properties": {"Type": "String", "Value": {"Fn::ImportValue": "expire-test"}},
            }
        }
    }
    for name, template in (("twin-t-llm", exporter), ("twin-t-business", importer)):
        cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
        cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    yield ["twin-t-business", "twin-t-llm"]
    for name in ("twin-t-business", "twin-t-llm"):
        cloudformation.delete_stack(StackName=name)


@pytest.fixture
def expire(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, list[str]]]:
    """Calls the function with `STACK_NAMES` in its environment, as a new process."""
    monkeypatch.setattr(stack_deletion, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(stack_deletion, "RETRY_SECONDS", 0.3)
    monkeypatch.setenv("STAGE", "t")

    def call(names: str) -> dict[str, list[str]]:
        monkeypatch.setenv("STACK_NAMES", names)
        return act(ModelStop.of(start(ExpireSettings)), DELETE, 60)

    return call


def exists(name: str) -> bool:
    try:
        found = boto3.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError:
        return False
    return bool(found and found[0]["StackStatus"] != "DELETE_COMPLETE")


def test_stacks_are_deleted_in_order_and_the_call_can_be_repeated(
    stacks: list[str], expire: Callable[[str], dict[str, list[str]]]
) -> None:
    names = f"twin-t-absent, {','.join(stacks)}"
    assert all(exists(name) for name in stacks)
    assert expire(names) == {"parked": [], "deleted": stacks, "absent": ["twin-t-absent"]}
    assert not any(exists(name) for name in stacks)
    again = expire(names)
    assert again == {"parked": [], "deleted": [], "absent": ["twin-t-absent", *stacks]}


@pytest.fixture
def refusing(aws: str) -> Iterator[Callable[[int], str]]:
    """Makes a stack of which a resource refuses its deletion so often, as a component that is being woken does."""
    cloudformation = boto3.client("cloudformation")

    def make(times: int) -> str:
        topic = {"Type": "AWS::SNS::Topic", "Metadata": {FAULT: {"delete": times}}}
        cloudformation.create_stack(StackName="twin-t-llm", TemplateBody=json.dumps({"Resources": {"Topic": topic}}))
        cloudformation.get_waiter("stack_create_complete").wait(StackName="twin-t-llm", WaiterConfig={"Delay": 1})
        return "twin-t-llm"

    yield make
    cloudformation.delete_stack(StackName="twin-t-llm")


def test_a_deletion_that_fails_is_tried_again_within_the_invocation(
    refusing: Callable[[int], str], expire: Callable[[str], dict[str, list[str]]]
) -> None:
    name = refusing(2)
    assert expire(name) == {"parked": [], "deleted": [name], "absent": []}
    assert not exists(name)


def test_a_deletion_that_fails_to_the_end_says_why(
    refusing: Callable[[int], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack_deletion, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(stack_deletion, "RETRY_SECONDS", 0.3)
    name = refusing(100)
    with pytest.raises(stack_deletion.StackDeletionError, match=r"still DELETE_FAILED: .+; the next invocation"):
        stack_deletion.delete_stacks(boto3.client("cloudformation"), [name], stack_deletion.RESERVE_SECONDS + 3)
    assert exists(name)


def test_without_stack_names_it_says_what_to_set(aws: str, expire: Callable[[str], dict[str, list[str]]]) -> None:
    with pytest.raises(ConfigurationError, match="STACK_NAMES"):
        expire(" , ")


def test_the_handler_builds_its_clients_from_its_environment(
    aws: str, lambda_context: Callable[[float], LambdaContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAGE", "t")
    monkeypatch.setenv("STACK_NAMES", "twin-t-absent")
    assert handler(DELETE, lambda_context(60)) == {"parked": [], "deleted": [], "absent": ["twin-t-absent"]}


@pytest.mark.parametrize("event", [{}, {"action": "stop"}])
def test_an_event_without_a_known_action_does_nothing(
    aws: str, lambda_context: Callable[[float], LambdaContext], monkeypatch: pytest.MonkeyPatch, event: dict[str, str]
) -> None:
    monkeypatch.setenv("STAGE", "t")
    monkeypatch.setenv("STACK_NAMES", "twin-t-absent")
    with pytest.raises(ValueError, match=r'must be {"action": "park"} or {"action": "delete"}'):
        handler(event, lambda_context(60))
