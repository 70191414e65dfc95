"""Control plane of Application Auto Scaling: targets, policies and scheduled actions are stored, not acted upon.

The runner reads the targets to decide whether a scaled-down component may start again; a suspended one does not.
API: https://docs.aws.amazon.com/autoscaling/application/APIReference/Welcome.html
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core.responses import get_account_id, get_region

from localcloud.emulator.pages import page
from localcloud.emulator.registry import JsonService, ServiceError

Request = dict[str, Any]
NAME = "application-autoscaling"
NOT_FOUND = "ObjectNotFoundException"
RUNNING = {"DynamicScalingInSuspended": False, "DynamicScalingOutSuspended": False, "ScheduledScalingSuspended": False}
"""State of a target whose scaling is not suspended:
https://docs.aws.amazon.com/autoscaling/application/APIReference/API_SuspendedState.html"""
DEFAULT_PAGE = 50


def target_key(request: Request) -> str:
    """Key of the target that a request names, in the store `targets`."""
    return "|".join(str(request.get(part, "")) for part in ("ServiceNamespace", "ResourceId", "ScalableDimension"))


class ApplicationAutoScaling(JsonService):
    """Scalable targets, scaling policies and scheduled actions."""

    name = NAME
    target_prefix = "AnyScaleFrontendService."

    def operations(self) -> Mapping[str, Callable[[Request], Request]]:
        """Functions by operation name. A missing target, policy or action is ObjectNotFoundException, as on AWS."""
        return {
            "RegisterScalableTarget": self._register,
            "DeregisterScalableTarget": self._deregister,
            "DescribeScalableTargets": lambda r: self._describe("targets", "ScalableTargets", r),
            "PutScalingPolicy": self._put_policy,
            "DeleteScalingPolicy": lambda r: self._delete("policies", "PolicyName", r),
            "DescribeScalingPolicies": lambda r: self._describe("policies", "ScalingPolicies", r),
            "PutScheduledAction": self._put_action,
            "DeleteScheduledAction": lambda r: self._delete("actions", "ScheduledActionName", r),
            "DescribeScheduledActions": lambda r: self._describe("actions", "ScheduledActions", r),
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": lambda r: {"Tags": self._tags(r)},
        }

    def _prefix(self, service: str) -> str:
        return f"arn:aws:{service}:{get_region()}:{get_account_id()}"

    def _register(self, request: Request) -> Request:
        """Register a target, or change of a registered one what the request names: the rest stays as it is."""
        known = self.store("targets").get(target_key(request)) or self._new_target(request)
        kept = {**known, **{key: value for key, value in request.items() if key != "Tags"}}
        kept["SuspendedState"] = {**known["SuspendedState"], **(request.get("SuspendedState") or {})}
        self.store("targets")[target_key(request)] = kept
        self.store("tags").setdefault(kept["ScalableTargetARN"], {}).update(request.get("Tags") or {})
        return {"ScalableTargetARN": kept["ScalableTargetARN"]}

    def _new_target(self, request: Request) -> Request:
        """What a target has before its first request is applied."""
        arn = f"{self._prefix('application-autoscaling')}:scalable-target/{uuid.uuid4().hex}"
        return {"CreationTime": time.time(), "ScalableTargetARN": arn, "SuspendedState": RUNNING}

    def _deregister(self, request: Request) -> Request:
        target = self.store("targets").pop(target_key(request), None)
        if target is None:
            raise ServiceError(NOT_FOUND, f"No scalable target found for {request['ResourceId']}.")
        self.store("tags").pop(target["ScalableTargetARN"], None)
        for store in (self.store("policies"), self.store("actions")):
            for key in [key for key in store if key.startswith(f"{target_key(request)}|")]:
                store.pop(key)
        return {}

    def _put_policy(self, request: Request) -> Request:
        where = f"resource/{request['ServiceNamespace']}/{request['ResourceId']}:policyName/{request['PolicyName']}"
        arn = f"{self._prefix('autoscaling')}:scalingPolicy:{uuid.uuid4()}:{where}"
        kept = self._put("policies", "PolicyName", {"PolicyARN": arn, "Alarms": []}, request)
        return {"PolicyARN": kept["PolicyARN"], "Alarms": []}

    def _put_action(self, request: Request) -> Request:
        name = request["ScheduledActionName"]
        where = f"resource/{request['ServiceNamespace']}/{request['ResourceId']}:scheduledActionName/{name}"
        arn = f"{self._prefix('autoscaling')}:scheduledAction:{uuid.uuid4()}:{where}"
        self._put("actions", "ScheduledActionName", {"ScheduledActionARN": arn}, request)
        return {}

    def _put(self, store: str, name: str, identity: Request, request: Request) -> Request:
        key = f"{target_key(request)}|{request[name]}"
        known = self.store(store).get(key) or {"CreationTime": time.time(), **identity}
        # A field that the request leaves out is unset, since both kinds are replaced as a whole.
        kept = {field: known[field] for field in ("CreationTime", *identity)}
        self.store(store)[key] = {**kept, **request}
        return kept

    def _delete(self, store: str, name: str, request: Request) -> Request:
        if self.store(store).pop(f"{target_key(request)}|{request[name]}", None) is None:
            raise ServiceError(NOT_FOUND, f"Nothing is named {request[name]} for {request['ResourceId']}.")
        return {}

    def _describe(self, store: str, list_key: str, request: Request) -> Request:
        ids = request.get("ResourceIds") or ([request["ResourceId"]] if request.get("ResourceId") else [])
        wanted = [
            item
            for item in self.store(store).values()
            if item["ServiceNamespace"] == request["ServiceNamespace"]
            and (not ids or item["ResourceId"] in ids)
            and request.get("ScalableDimension") in (None, item["ScalableDimension"])
            and item.get("PolicyName") in (request.get("PolicyNames") or [item.get("PolicyName")])
            and item.get("ScheduledActionName")
            in (request.get("ScheduledActionNames") or [item.get("ScheduledActionName")])
        ]
        found, token = page(wanted, request, DEFAULT_PAGE)
        return {list_key: found, **token}

    def _tags(self, request: Request) -> dict[str, str]:
        tags: dict[str, str] | None = self.store("tags").get(request["ResourceARN"])
        if tags is None:
            raise ServiceError("ResourceNotFoundException", f"No scalable target is {request['ResourceARN']}.")
        return tags

    def _tag(self, request: Request) -> Request:
        self._tags(request).update(request["Tags"])
        return {}

    def _untag(self, request: Request) -> Request:
        tags = self._tags(request)
        for key in request["TagKeys"]:
            tags.pop(key, None)
        return {}
