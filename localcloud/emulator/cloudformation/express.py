"""CloudFormation's express mode: an operation is complete once its calls are made, and resources settle afterwards.

MiniStack 1.5.33 does not know `DeploymentConfig`. On AWS a resource of such an operation counts as complete when the
call that makes, changes or deletes it has succeeded; rollback is off unless the caller turns it on
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-express-mode.html,
https://github.com/aws/aws-cdk-cli/issues/1931). This module can go when MiniStack has the mode.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import ministack.services.cloudformation as cloudformation
from ministack.services import alb, cloudfront
from ministack.services.cloudformation import changesets, stacks
from ministack.services.cloudformation.helpers import _error, _p

from localcloud.aws_time import DISTRIBUTION_CHANGED, FUNCTION_INTERFACES_GONE
from localcloud.emulator.cloudformation.held_interfaces import hold, release
from localcloud.emulator.settling import without_waiting

MODE, ROLLBACK = "DeploymentConfig.Mode", "DeploymentConfig.DisableRollback"
EXPRESS = "EXPRESS"
MODES = ("STANDARD", EXPRESS)
REASON = "Resource operation completed using Express Mode. It may continue becoming available in the background."
FAILED = ("CREATE_FAILED", "UPDATE_FAILED")
DISTRIBUTION, VPC_ORIGIN, FUNCTION = (
    "AWS::CloudFront::Distribution",
    "AWS::CloudFront::VpcOrigin",
    "AWS::Lambda::Function",
)
POLL_SECONDS = 0.2
logger = logging.getLogger(__name__)


def install() -> None:
    """Wrap MiniStack's actions and its work on resources. Call it once, after everything that wraps the latter."""
    actions = cloudformation._ACTION_HANDLERS
    for name in ("CreateStack", "UpdateStack", "DeleteStack"):
        actions[name] = _of_stack(name, actions[name])
    actions["CreateChangeSet"] = _create_change_set(actions["CreateChangeSet"])
    actions["ExecuteChangeSet"] = _execute_change_set(actions["ExecuteChangeSet"])
    actions["DescribeChangeSet"] = _described(actions["DescribeChangeSet"])
    actions["RollbackStack"] = _rollback(actions["RollbackStack"])
    stacks._provision_resource = _unsettled(stacks._provision_resource, 3)
    stacks._update_resource = _unsettled(stacks._update_resource, 4)
    stacks._delete_resource = _going_on(stacks._delete_resource)
    stacks._add_event = _said(stacks._add_event)


def is_express(stack: str | None) -> bool:
    """Whether the stack's last operation was begun in express mode."""
    found = cloudformation._stacks.get(stack) or {}
    return bool(found.get("_express"))


def _of_stack(name: str, handle: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def act(params: Any) -> Any:
        """The action, with the stack marked for the work that follows."""
        if problem := _problem(params):
            return problem
        express = _p(params, MODE) == EXPRESS
        if name != "DeleteStack":
            _turn_rollback_off(params, express, _p(params, ROLLBACK))
        answer = handle(params)
        if answer[0] == 200 and (stack := _stack(_p(params, "StackName"))):
            stack["_express"] = express
        return answer

    return act


def _create_change_set(handle: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def act(params: Any) -> Any:
        """The action; the change set keeps its mode."""
        if problem := _problem(params):
            return problem
        answer = handle(params)
        _, made = changesets._find_change_set(_p(params, "ChangeSetName"), _p(params, "StackName"))
        if answer[0] == 200 and made:
            made["_config"] = (_p(params, MODE) or MODES[0], _p(params, ROLLBACK))
        return answer

    return act


def _execute_change_set(handle: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def act(params: Any) -> Any:
        """The action in the mode of the change set."""
        _, made = changesets._find_change_set(_p(params, "ChangeSetName"), _p(params, "StackName"))
        mode, rollback = (made or {}).get("_config", (MODES[0], ""))
        _turn_rollback_off(params, mode == EXPRESS, rollback)
        answer = handle(params)
        if answer[0] == 200 and made and (stack := _stack(made["StackName"])):
            stack["_express"] = mode == EXPRESS
        return answer

    return act


def _described(handle: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def act(params: Any) -> Any:
        """The description with the mode, by which the CDK decides what it may execute."""
        status, headers, body = handle(params)
        _, made = changesets._find_change_set(_p(params, "ChangeSetName"), _p(params, "StackName"))
        if status != 200 or not made or "_config" not in made:
            return status, headers, body
        mode, rollback = made["_config"]
        inner = f"<Mode>{mode}</Mode>" + (f"<DisableRollback>{rollback}</DisableRollback>" if rollback else "")
        end = "</DescribeChangeSetResult>"
        text = (body if isinstance(body, str) else body.decode()).replace(
            end, f"<DeploymentConfig>{inner}</DeploymentConfig>{end}"
        )
        return status, headers, text.encode()

    return act


def _rollback(handle: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def act(params: Any) -> Any:
        """The action, which AWS refuses for such stacks: https://github.com/aws/aws-cdk-cli/pull/1745."""
        if is_express((_stack(_p(params, "StackName")) or {}).get("StackName")):
            return _error(
                "ValidationError",
                "RollbackStack is not supported for stacks that were last updated using EXPRESS deployment mode",
            )
        return handle(params)

    return act


def _problem(params: Any) -> Any:
    """Why AWS refuses the mode: an unknown one, or another one than that of the operation that has failed."""
    mode = _p(params, MODE) or MODES[0]
    if mode not in MODES:
        return _error("ValidationError", f"Value '{mode}' at 'deploymentConfig.mode' must be one of {list(MODES)}")
    stack = _stack(_p(params, "StackName")) or {}
    if (
        stack.get("StackStatus") in FAILED
        and stack.get("_express")
        and mode != EXPRESS
        and _p(params, "Action") != "DeleteStack"
    ):
        return _error("ValidationError", "Follow-up operations must use the same DeploymentConfig (mode=EXPRESS)")
    return None


def _turn_rollback_off(params: Any, express: bool, rollback: str) -> None:
    if express and rollback.lower() != "false" and not _p(params, "OnFailure"):
        params["DisableRollback"] = ["true"]


def _stack(name: str) -> dict[str, Any] | None:
    found = cloudformation._stacks.get(name)
    if found is None:
        found = next((each for each in cloudformation._stacks.values() if each.get("StackId") == name), None)
    return found if isinstance(found, dict) else None


def _unsettled(work: Callable[..., Any], place: int) -> Callable[..., Any]:
    """The work on a resource, without the wait for it where the stack is in express mode.

    Args:
        work: as MiniStack calls it.
        place: of the stack's name among the arguments.
    """

    def act(*given: Any, **named: Any) -> Any:
        """Do it."""
        if not is_express(given[place]):
            return work(*given, **named)
        with without_waiting():
            return work(*given, **named)

    return act


def _going_on(delete: Callable[..., Any]) -> Callable[..., Any]:
    def act(
        resource_type: str, physical_id: str, properties: Any, stack: str | None = None, logical_id: str | None = None
    ) -> Any:
        """Delete the resource, or begin a deletion that goes on after the stack is gone."""
        given = (resource_type, physical_id, properties, stack, logical_id)
        if not is_express(stack):
            return delete(*given)
        with without_waiting():
            if resource_type in (DISTRIBUTION, VPC_ORIGIN):
                return _later(DISTRIBUTION_CHANGED.here(), delete, given)
            done = delete(*given)
        if resource_type == FUNCTION:
            _interfaces_of_function(properties)
        return done

    return act


def _interfaces_of_function(properties: Any) -> None:
    """Lambda gives the interfaces of a function in a VPC back long after the function is gone."""
    network = properties.get("VpcConfig") or {}
    held = hold(network.get("SubnetIds") or (), network.get("SecurityGroupIds") or (), "AWS Lambda VPC ENI")
    _after(FUNCTION_INTERFACES_GONE.here(), lambda: release(held))


def _later(seconds: float, delete: Callable[..., Any], given: tuple[Any, ...]) -> None:
    """Delete after a while, and again until it is not refused: an origin is in use as long as its distribution is."""
    resource_type, physical_id, properties, *_ = given
    held: list[str] = []
    for found in (cloudfront._distributions.get(physical_id), cloudfront._vpc_origins.get(physical_id)):
        if found:
            # A distribution is switched off before it goes, and an origin is deployed anew.
            found |= {"enabled": False, "Status": "InProgress" if resource_type == DISTRIBUTION else "Deploying"}
    if resource_type == VPC_ORIGIN:
        arn = (properties.get("VpcOriginEndpointConfig") or {}).get("Arn", "")
        held = hold((alb._lbs.get(arn) or {}).get("Subnets") or (), (), "CloudFront managed ENI")

    def attempt() -> None:
        """Delete, or come back."""
        try:
            delete(*given)
        except Exception as error:  # noqa: BLE001 - MiniStack and botocore raise of all kinds
            if "InUse" in str(error) or "in use" in str(error) or "associated with" in str(error):
                _after(POLL_SECONDS, attempt)
                return
            logger.warning("%s was not deleted after its stack: %s", physical_id, error)
        release(held)

    _after(seconds, attempt)


def _after(seconds: float, act: Callable[[], Any]) -> None:
    """Run `act` in the present account and region after a while; the end of the emulator ends it as well."""
    timer = threading.Timer(seconds, copy_context().run, (act,))
    timer.daemon = True
    timer.start()


def _said(write: Callable[..., Any]) -> Callable[..., Any]:
    def add(
        stack_id: str, stack: str, logical_id: str, kind: str, status: str, reason: str = "", *more: Any, **named: Any
    ) -> Any:
        """The event; one of a resource that is complete in express mode says so."""
        done = status.endswith("_COMPLETE") and kind != "AWS::CloudFormation::Stack"
        if done and not reason and is_express(stack):
            return write(stack_id, stack, logical_id, kind, status, REASON, *more, **named)
        rest = (reason, *more) if reason or more else ()
        return write(stack_id, stack, logical_id, kind, status, *rest, **named)

    return add
