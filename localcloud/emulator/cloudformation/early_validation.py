"""CloudFormation's early validation: a change set that cannot succeed fails before anything is made.

MiniStack 1.5.33 validates some properties when a stack is deployed, and no change set. AWS checks a template's
properties and whether names are taken when the change set is made, and says what it found through DescribeEvents
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/validate-stack-deployments.html). So `cdk validate`,
which makes a change set and deletes it, finds both. This module can go when MiniStack validates change sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ministack.services.cloudformation as cloudformation
from ministack.core.responses import new_uuid
from ministack.services.cloudformation import changesets, stacks
from ministack.services.cloudformation.engine import _evaluate_conditions
from ministack.services.cloudformation.helpers import _p

from localcloud.emulator.rules.enforcement import Rules
from localcloud.emulator.rules.rule import Change, Refusal

PROPERTIES, EXISTENCE = "PropertyValidation", "ResourceExistenceCheck"
NAMES = {PROPERTIES: "PROPERTY_VALIDATION", EXISTENCE: "NAME_CONFLICT_VALIDATION"}
"""Of the validation in an event."""
REASON = (
    "The following hook(s)/validation failed: [{failed}]. To troubleshoot Early Validation errors, use the "
    "DescribeEvents API for detailed failure information."
)
"""AWS's words, as people quote them: https://github.com/aws/aws-cdk-cli/issues/1000."""
Problem = tuple[str, str, str, str]
"""Logical id, type, kind (a key of `NAMES`) and reason."""


def install(rules: Rules) -> None:
    """Wrap MiniStack's actions on change sets and events. Call it once, before the emulator serves.

    Args:
        rules: whose refusals of a creation are foreseen.
    """
    actions = cloudformation._ACTION_HANDLERS
    create, describe = actions["CreateChangeSet"], actions["DescribeEvents"]

    def create_change_set(params: Any) -> Any:
        """The action; a change set with problems has failed, and keeps them as events."""
        answer = create(params)
        _, made = changesets._find_change_set(_p(params, "ChangeSetName"), _p(params, "StackName"))
        if answer[0] != 200 or not made or made["Status"] != "CREATE_COMPLETE" or made["_disable_validation"]:
            return answer
        if problems := list(_problems(rules, made)):
            failed = sorted({f"AWS::EarlyValidation::{kind}" for _, _, kind, _ in problems})
            made |= {"Status": "FAILED", "ExecutionStatus": "UNAVAILABLE"}
            made["StatusReason"] = REASON.format(failed=", ".join(failed))
            operation = new_uuid()
            made["_events"] = [_event(made["StackId"], operation, problem) for problem in problems]
        return answer

    def describe_events(params: Any) -> Any:
        """The action, for a change set too."""
        _, made = changesets._find_change_set(_p(params, "ChangeSetName"), _p(params, "StackName"))
        if not made:
            return describe(params)
        # MiniStack reads the events of a stack: for this answer the change set's stand there.
        stack = cloudformation._stacks[made["StackName"]]
        before = stack.get("_operation_events")
        stack["_operation_events"] = made.get("_events", [])
        try:
            return describe({**params, "StackName": [made["StackName"]]})
        finally:
            stack["_operation_events"] = before

    actions["CreateChangeSet"], actions["DescribeEvents"] = create_change_set, describe_events


def _problems(rules: Rules, change_set: Mapping[str, Any]) -> Iterator[Problem]:
    template, name, stack_id = change_set["_template"], change_set["StackName"], change_set["StackId"]
    resources, parameters = template["Resources"], change_set["_resolved_params"]
    conditions = _evaluate_conditions(template, parameters)
    place = (resources, parameters, conditions, template.get("Mappings", {}), name, stack_id)
    added = [
        change["ResourceChange"]["LogicalResourceId"]
        for change in change_set["Changes"]
        if change["ResourceChange"].get("Action") == "Add"
    ]
    for logical_id in added:
        kind, properties = resources[logical_id]["Type"], _static(resources[logical_id].get("Properties") or {}, place)
        try:
            rules.check(Change("create", kind, name, logical_id, after=properties))
        except Refusal as refusal:
            if refusal.rule.name == "resource-schema":
                yield logical_id, kind, PROPERTIES, str(refusal)
            elif refusal.rule.name.endswith("-exists"):
                yield logical_id, kind, EXISTENCE, str(refusal)
    resolved = (resources, added, parameters, conditions, template.get("Mappings", {}), name, stack_id)
    for logical_id, kind, validation, _, reason in stacks._validation_errors(*resolved):
        yield logical_id, kind, EXISTENCE if validation == NAMES[EXISTENCE] else PROPERTIES, reason


def _static(properties: Mapping[str, Any], place: tuple[Any, ...]) -> dict[str, Any]:
    """Those properties that are known before anything is made."""
    resolve: Callable[..., Any] = stacks._static_property
    values = {name: resolve(value, *place) for name, value in properties.items()}
    return {name: value for name, value in values.items() if value is not None}


def _event(stack_id: str, operation: str, problem: Problem) -> dict[str, Any]:
    logical_id, kind, validation, reason = problem
    event: dict[str, Any] = stacks._operation_event(
        stack_id,
        operation,
        "VALIDATION_ERROR",
        "CREATE_CHANGESET",
        LogicalResourceId=logical_id,
        ResourceType=kind,
        ValidationFailureMode="FAIL",
        ValidationName=NAMES[validation],
        ValidationStatus="FAILED",
        ValidationStatusReason=reason,
        ValidationPath=f"/Resources/{logical_id}",
    )
    return event
