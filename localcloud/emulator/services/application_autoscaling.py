"""Application Auto Scaling's control plane: targets and policies are kept; the runner acts on them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core.responses import get_account_id, get_region

from localcloud.emulator.registry import JsonService, ServiceError

Request = dict[str, Any]
NOT_FOUND = "ObjectNotFoundException"


def _key(request: Request) -> str:
    return "|".join(request[part] for part in ("ServiceNamespace", "ResourceId", "ScalableDimension"))


class ApplicationAutoScaling(JsonService):
    """Scalable targets and scaling policies."""

    name = "application-autoscaling"
    target_prefix = "AnyScaleFrontendService."

    def operations(self) -> Mapping[str, Callable[[Request], Request]]:
        return {
            "RegisterScalableTarget": self._register,
            "DeregisterScalableTarget": self._deregister,
            "DescribeScalableTargets": lambda r: {"ScalableTargets": self._found("targets", r)},
            "PutScalingPolicy": self._put_policy,
            "DeleteScalingPolicy": self._delete_policy,
            "DescribeScalingPolicies": lambda r: {"ScalingPolicies": self._found("policies", r)},
            "TagResource": lambda _: {},
            "ListTagsForResource": lambda _: {"Tags": {}},
        }

    def _prefix(self, service: str) -> str:
        return f"arn:aws:{service}:{get_region()}:{get_account_id()}"

    def _register(self, request: Request) -> Request:
        arn = f"{self._prefix('application-autoscaling')}:scalable-target/{uuid.uuid4().hex}"
        known = self.store("targets").get(_key(request)) or {"CreationTime": time.time(), "ScalableTargetARN": arn}
        kept = {**known, **{key: value for key, value in request.items() if key != "Tags"}}
        self.store("targets")[_key(request)] = kept
        return {"ScalableTargetARN": kept["ScalableTargetARN"]}

    def _deregister(self, request: Request) -> Request:
        if self.store("targets").pop(_key(request), None) is None:
            raise ServiceError(NOT_FOUND, f"No scalable target found for {request['ResourceId']}.")
        policies = self.store("policies")
        for key in [key for key in policies if key.startswith(f"{_key(request)}|")]:
            policies.pop(key)
        return {}

    def _put_policy(self, request: Request) -> Request:
        if _key(request) not in self.store("targets"):
            raise ServiceError(NOT_FOUND, f"No scalable target registered for {request['ResourceId']}.")
        where = f"resource/{request['ServiceNamespace']}/{request['ResourceId']}:policyName/{request['PolicyName']}"
        arn = f"{self._prefix('autoscaling')}:scalingPolicy:{uuid.uuid4()}:{where}"
        key = f"{_key(request)}|{request['PolicyName']}"
        known = self.store("policies").get(key) or {"CreationTime": time.time(), "PolicyARN": arn}
        self.store("policies")[key] = {**known, **request}
        return {"PolicyARN": known["PolicyARN"], "Alarms": []}

    def _delete_policy(self, request: Request) -> Request:
        if self.store("policies").pop(f"{_key(request)}|{request['PolicyName']}", None) is None:
            raise ServiceError(NOT_FOUND, f"No scaling policy {request['PolicyName']}.")
        return {}

    def _found(self, store: str, request: Request) -> list[dict[str, Any]]:
        ids = request.get("ResourceIds") or ([request["ResourceId"]] if request.get("ResourceId") else [])
        return [
            item
            for item in self.store(store).values()
            if item["ServiceNamespace"] == request["ServiceNamespace"] and (not ids or item["ResourceId"] in ids)
        ]
