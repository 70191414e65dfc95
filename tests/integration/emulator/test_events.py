"""Events of an update tell what changes, and nothing else, so that the CDK's progress counts what it waits for."""

from __future__ import annotations

from typing import Any

from tests.integration.emulator.conftest import Aws, Stacks

STACK = "telling"


def parameter(value: str) -> dict[str, Any]:
    return {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": value}}


def told_since(aws: Aws, known: set[str]) -> list[tuple[str, str]]:
    """Logical id and status of the events that are not known, the oldest first; they are known then."""
    events = aws("cloudformation").describe_stack_events(StackName=STACK)["StackEvents"]
    new = [event for event in reversed(events) if event["EventId"] not in known]
    known |= {event["EventId"] for event in new}
    return [(event["LogicalResourceId"], event["ResourceStatus"]) for event in new]


def test_only_what_changes_has_events(aws: Aws, stacks: Stacks) -> None:
    known: set[str] = set()
    assert stacks.create(STACK, {"Same": parameter("a"), "Changed": parameter("a")}) == "CREATE_COMPLETE"
    assert ("Same", "CREATE_COMPLETE") in told_since(aws, known)

    wanted = {"Same": parameter("a"), "Changed": parameter("b"), "New": parameter("a")}
    assert stacks.update(STACK, wanted) == "UPDATE_COMPLETE"
    told = told_since(aws, known)
    assert [each for each in told if each[0] == "Same"] == []
    assert [status for name, status in told if name == "Changed"] == ["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"]
    assert [status for name, status in told if name == "New"] == ["CREATE_IN_PROGRESS", "CREATE_COMPLETE"]


def test_a_failed_update_tells_what_failed_and_what_went_back(aws: Aws, stacks: Stacks) -> None:
    name = "failing"
    stacks.create(name, {"Same": parameter("a"), "Changed": parameter("a")})
    aws("logs").create_log_group(logGroupName="/in/the/way")
    group = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/in/the/way"}}
    broken = {**group, "DependsOn": "Changed"}
    assert stacks.update(name, {"Same": parameter("a"), "Changed": parameter("b"), "New": broken}) == (
        "UPDATE_ROLLBACK_COMPLETE"
    )
    events = aws("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    told = [(event["LogicalResourceId"], event["ResourceStatus"]) for event in reversed(events)]
    assert [status for logical_id, status in told if logical_id == "Same"] == ["CREATE_IN_PROGRESS", "CREATE_COMPLETE"]
    assert [status for logical_id, status in told if logical_id == "New"][:2] == ["CREATE_IN_PROGRESS", "CREATE_FAILED"]
    assert [status for logical_id, status in told if logical_id == "Changed"] == [
        *("CREATE_IN_PROGRESS", "CREATE_COMPLETE", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"),
        *("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"),
    ]
