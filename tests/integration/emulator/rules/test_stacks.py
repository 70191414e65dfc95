"""What CloudFormation refuses by the state of a stack."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.emulator.conftest import Aws, Emulator, Stacks, eventually, running
from tests.integration.emulator.rules.codes import code_of
from tests.integration.emulator.rules.refusals import assert_call_refused, resource
from tests.integration.emulator.test_sagemaker import COMPONENT, External, with_component

IN_PROGRESS = ("Creating", "Updating")

QUEUE = {"Queue": resource("SQS::Queue")}
TEMPLATE = json.dumps({"Resources": QUEUE})


def test_a_stack_that_was_rolled_back_is_neither_updated_nor_created_again(aws: Aws, stacks: Stacks) -> None:
    client, words = aws("cloudformation"), "is in ROLLBACK_COMPLETE state and can not be updated."
    broken = {"Group": resource("Logs::LogGroup", RetentionInDays=8)}
    assert stacks.create("rolled-back", broken) == "ROLLBACK_COMPLETE"
    named: dict[str, Any] = {"StackName": "rolled-back", "TemplateBody": TEMPLATE}
    assert_call_refused("stack-not-updatable", words, client.update_stack, **named)
    assert_call_refused("stack-not-updatable", words, client.create_change_set, ChangeSetName="next", **named)
    assert_call_refused("stack-exists", "Stack [rolled-back] already exists", client.create_stack, **named)
    stacks.delete("rolled-back")


def test_a_stack_that_could_not_be_deleted_is_not_updated(aws: Aws, stacks: Stacks) -> None:
    stubborn = {"Queue": {**resource("SQS::Queue"), "Metadata": {"localcloud:fault": {"delete": 1}}}}
    assert stacks.create("stubborn", stubborn) == "CREATE_COMPLETE"
    aws("cloudformation").delete_stack(StackName="stubborn")
    assert stacks.settled("stubborn") == "DELETE_FAILED"
    words, update = "is in DELETE_FAILED state and can not be updated.", aws("cloudformation").update_stack
    assert_call_refused("stack-not-updatable", words, update, StackName="stubborn", TemplateBody=TEMPLATE)
    stacks.delete("stubborn")


def test_a_protected_stack_is_not_deleted(aws: Aws, stacks: Stacks) -> None:
    client = aws("cloudformation")
    client.create_stack(StackName="protected", TemplateBody=TEMPLATE, EnableTerminationProtection=True)
    assert stacks.settled("protected") == "CREATE_COMPLETE"
    words = "cannot be deleted while TerminationProtection is enabled"
    assert_call_refused("stack-protected", words, client.delete_stack, StackName="protected")
    client.update_termination_protection(StackName="protected", EnableTerminationProtection=False)
    stacks.delete("protected")


def test_a_change_set_without_changes_fails(aws: Aws, stacks: Stacks) -> None:
    client = aws("cloudformation")
    assert stacks.create("unchanged", QUEUE) == "CREATE_COMPLETE"
    change_set = {"StackName": "unchanged", "ChangeSetName": "none"}
    client.create_change_set(TemplateBody=json.dumps({"Resources": QUEUE, "Outputs": {}}), **change_set)
    described = eventually(lambda: _ended(client.describe_change_set(**change_set)), "the change set is still made")
    assert (described["Status"], described["ExecutionStatus"]) == (code_of("change-set-without-changes"), "UNAVAILABLE")
    assert "The submitted information didn't contain changes." in described["StatusReason"]
    stacks.delete("unchanged")


def _ended(change_set: Any) -> Any:
    return None if change_set["Status"].endswith(("PENDING", "IN_PROGRESS")) else change_set


@pytest.fixture
def external(tmp_path: Path) -> Iterator[External]:
    with running(tmp_path, LOCALCLOUD_CONTAINERS="external") as emulator:
        yield External(emulator)


def _settle(external: External) -> None:
    """Report the component of the stack in service, once it is created or changed."""
    eventually(lambda: external.component().get("InferenceComponentStatus") in IN_PROGRESS, "nothing is in progress")
    external.settle("inference-component", COMPONENT, "InService")


def test_a_stack_in_an_update_is_neither_deleted_nor_updated(external: External) -> None:
    emulator: Emulator = external.emulator
    client, stacks = emulator.client("cloudformation"), Stacks(emulator.client("cloudformation"))
    stacks.start_creation("busy", with_component(1))
    words, update = "is in CREATE_IN_PROGRESS state and can not be updated.", client.update_stack
    assert_call_refused("stack-not-updatable", words, update, StackName="busy", TemplateBody=TEMPLATE)
    _settle(external)
    assert stacks.settled("busy") == "CREATE_COMPLETE"
    stacks.start_update("busy", with_component(2))
    words = "cannot be deleted while in status UPDATE_IN_PROGRESS"
    assert_call_refused("stack-in-update", words, client.delete_stack, StackName="busy")
    words = "is in UPDATE_IN_PROGRESS state and can not be updated."
    assert_call_refused("stack-not-updatable", words, update, StackName="busy", TemplateBody=TEMPLATE)
    _settle(external)
    assert stacks.settled("busy") == "UPDATE_COMPLETE"
    stacks.delete("busy")
