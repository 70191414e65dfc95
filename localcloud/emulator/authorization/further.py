"""Rights that a call needs besides its own action: on further resources, and of what it makes a service do.

- A call of ECS on several resources needs its action on each of them.
- Who runs a task passes the roles of its definition to ECS, and tags the task where it takes over tags:
  https://docs.aws.amazon.com/AmazonECS/latest/developerguide/security_iam_id-based-policy-examples.html,
  https://docs.aws.amazon.com/AmazonECS/latest/developerguide/supported-iam-actions-tagging.html
- Who registers a scalable target needs the rights on what is scaled, and to tag it where the request has tags:
  https://docs.aws.amazon.com/autoscaling/application/userguide/security_iam_id-based-policy-examples.html
- Who hands CloudFormation a role passes it:
  https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-servicerole.html

MiniStack 1.5.33 asks for none of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from ministack.core import iam_actions, iam_evaluator
from ministack.services import ecs

from localcloud.emulator.authorization.resources import SCALING, ecs_resources, json_fields

PASSED_TO = "iam:PassedToService"
OF_COMPONENTS = ("sagemaker:DescribeInferenceComponent", "sagemaker:UpdateInferenceComponentRuntimeConfig")


@dataclass(frozen=True)
class Right:
    """One action on one resource.

    Attributes:
        context: keys of conditions, besides those of the resource.
    """

    action: str
    resource: str
    context: Mapping[str, Any] = field(default_factory=dict)


_needed: ContextVar[tuple[Right, ...]] = ContextVar("further_rights", default=())
_refused: ContextVar[str] = ContextVar("refused_further_action", default="")


def install() -> None:
    """Ask for the further rights of a call once its own action is allowed."""
    known = iam_actions.extract_resource_arn
    enforce, denied = iam_evaluator.enforce, iam_actions.access_denied_response

    def resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
    ) -> str:
        """The resource of the call's own action; its further rights are noted for the decision."""
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        rights = further_rights(service, operation, json_fields(body), query, f"{region}:{account}")
        _needed.set(tuple(rights))
        _refused.set("")
        return str(known(service, method, path, headers, body, query, region, account))

    def decided(access_key: str, action: str, service: str, region: str, **asked: Any) -> Any:
        """None when the call and everything that it needs is allowed, else the first refusal."""
        if refusal := enforce(access_key, action, service, region, **asked):
            return refusal
        rights = _needed.get()
        _needed.set(())
        for right in rights:
            owner = right.action.partition(":")[0]
            context = dict(right.context)
            if refusal := enforce(
                access_key, right.action, owner, region, resource_arn=right.resource, service_context=context
            ):
                _refused.set(right.action)
                return refusal
        return None

    def named(service: str, action: str, *answer: Any, **more: Any) -> Any:
        """The answer to a refused call, naming the action that was missing."""
        return denied(service, _refused.get() or action, *answer, **more)

    iam_actions.extract_resource_arn = resource_arn
    iam_evaluator.enforce = decided
    iam_actions.access_denied_response = named


def further_rights(
    service: str, operation: str, fields: Mapping[str, Any], query: Mapping[str, Any], place: str
) -> Iterator[Right]:
    """What a call needs besides its own action on its first resource.

    Args:
        fields: of a JSON body.
        query: of a form or an address.
        place: `region:account` of the call.
    """
    if service == "ecs":
        for resource in ecs_resources(operation, fields)[1:]:
            yield Right(f"ecs:{operation}", _arn("ecs", place, resource))
        if operation == "RunTask":
            yield from _of_a_task(fields, place)
    elif service == SCALING and operation == "RegisterScalableTarget":
        yield from _of_a_target(fields, place)
    elif service == "cloudformation" and (role := str(iam_actions._query_param(query, "RoleARN"))):
        yield Right("iam:PassRole", role, {PASSED_TO: "cloudformation.amazonaws.com"})


def _of_a_task(fields: Mapping[str, Any], place: str) -> Iterator[Right]:
    definition = ecs._task_defs.get(ecs._resolve_td_key(fields.get("taskDefinition", ""))) or {}
    overridden = fields.get("overrides") or {}
    for name in ("taskRoleArn", "executionRoleArn"):
        if role := overridden.get(name) or definition.get(name):
            yield Right("iam:PassRole", str(role), {PASSED_TO: "ecs-tasks.amazonaws.com"})
    if fields.get("tags") or fields.get("propagateTags") or fields.get("enableECSManagedTags"):
        cluster = str(fields.get("cluster", "default")).rpartition("/")[2]
        yield Right("ecs:TagResource", _arn("ecs", place, f"task/{cluster}/*"), {"ecs:CreateAction": "RunTask"})


def _of_a_target(fields: Mapping[str, Any], place: str) -> Iterator[Right]:
    name = str(fields.get("ResourceId", ""))
    if fields.get("ServiceNamespace") == "sagemaker" and name.startswith("inference-component/"):
        for action in OF_COMPONENTS:
            yield Right(action, _arn("sagemaker", place, name))
    if fields.get("Tags"):
        yield Right("application-autoscaling:TagResource", _arn(SCALING, place, "scalable-target/*"))


def _arn(service: str, place: str, resource: str) -> str:
    return resource if resource.startswith("arn:") else f"arn:aws:{service}:{place}:{resource}"
