"""SageMaker's control plane: models, endpoint configs, endpoints, inference components.

When containers are run by somebody else (`LOCALCLOUD_CONTAINERS=external`), an endpoint or component stays `Creating`
or `Updating` until that somebody calls the private operation `LocalcloudSettle`; otherwise everything is in service at
once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import get_account_id, get_region

from localcloud.emulator.registry import JsonService, ServiceError

Request = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """One kind of SageMaker resource and its field names."""

    store: str
    arn: str
    field: str
    list_key: str
    summary: tuple[str, ...] = ()

    @property
    def name_key(self) -> str:
        return f"{self.field}Name"

    @property
    def arn_key(self) -> str:
        return f"{self.field}Arn"


MODEL = Kind("models", "model", "Model", "Models")
CONFIG = Kind("configs", "endpoint-config", "EndpointConfig", "EndpointConfigs")
ENDPOINT = Kind("endpoints", "endpoint", "Endpoint", "Endpoints", ("EndpointStatus", "LastModifiedTime"))
COMPONENT = Kind(
    "components",
    "inference-component",
    "InferenceComponent",
    "InferenceComponents",
    ("InferenceComponentStatus", "EndpointName", "EndpointArn", "VariantName", "LastModifiedTime"),
)
KINDS = (MODEL, CONFIG, ENDPOINT, COMPONENT)


class SageMaker(JsonService):
    """The operations that our stacks, our tools and CloudFormation use."""

    name = "sagemaker"
    target_prefix = "SageMaker."

    def operations(self) -> Mapping[str, Callable[[Request], Request]]:
        table: dict[str, Callable[[Request], Request]] = {
            "CreateModel": lambda r: self._create(MODEL, r),
            "CreateEndpointConfig": self._create_config,
            "CreateEndpoint": self._create_endpoint,
            "UpdateEndpoint": self._update_endpoint,
            "CreateInferenceComponent": self._create_component,
            "UpdateInferenceComponent": self._update_component,
            "UpdateInferenceComponentRuntimeConfig": self._update_copies,
            "DeleteEndpoint": self._delete_endpoint,
            "AddTags": self._add_tags,
            "ListTags": lambda r: {"Tags": self.store("tags").get(r["ResourceArn"], [])},
            "LocalcloudSettle": self._settle,
        }
        for kind in KINDS:
            table |= {name: operation for name, operation in self._common(kind).items() if name not in table}
        return table

    def _common(self, kind: Kind) -> dict[str, Callable[[Request], Request]]:
        return {
            f"Describe{kind.field}": lambda r: self._get(kind, r[kind.name_key]),
            f"List{kind.list_key}": lambda r: self._list(kind, r),
            f"Delete{kind.field}": lambda r: self._delete(kind, r),
        }

    def _arn(self, kind: Kind, name: str) -> str:
        return f"arn:aws:sagemaker:{get_region()}:{get_account_id()}:{kind.arn}/{name}"

    def _get(self, kind: Kind, name: str) -> dict[str, Any]:
        found: dict[str, Any] | None = self.store(kind.store).get(name)
        if found is None:
            raise ServiceError("ValidationException", f'Could not find {kind.arn} "{self._arn(kind, name)}".')
        return found

    def _create(self, kind: Kind, request: Request, **more: Any) -> Request:
        name, store = request[kind.name_key], self.store(kind.store)
        arn = self._arn(kind, name)
        if name in store:
            raise ServiceError("ValidationException", f'Cannot create already existing {kind.arn} "{arn}".')
        fields = {key: value for key, value in request.items() if key != "Tags"}
        now = time.time()
        store[name] = {**fields, kind.arn_key: arn, "CreationTime": now, "LastModifiedTime": now, **more}
        self.store("tags")[arn] = request.get("Tags", [])
        return {kind.arn_key: arn}

    def _delete(self, kind: Kind, request: Request) -> Request:
        self._get(kind, request[kind.name_key])
        self.store(kind.store).pop(request[kind.name_key])
        self.store("tags").pop(self._arn(kind, request[kind.name_key]), None)
        return {}

    def _list(self, kind: Kind, request: Request) -> Request:
        keys = (kind.name_key, kind.arn_key, "CreationTime", *kind.summary)
        wanted = request.get("NameContains", "")
        endpoint = request.get("EndpointNameEquals")
        found = [
            {key: item[key] for key in keys if key in item}
            for item in self.store(kind.store).values()
            if wanted in item[kind.name_key] and (endpoint is None or item.get("EndpointName") == endpoint)
        ]
        return {kind.list_key: found}

    def _create_config(self, request: Request) -> Request:
        for variant in request["ProductionVariants"]:
            if variant.get("ModelName"):
                self._get(MODEL, variant["ModelName"])
        return self._create(CONFIG, request)

    def _variants(self, config_name: str) -> list[dict[str, Any]]:
        return [
            {
                "VariantName": variant["VariantName"],
                "CurrentInstanceCount": variant.get("InitialInstanceCount", 0),
                "DesiredInstanceCount": variant.get("InitialInstanceCount", 0),
                "CurrentWeight": 1.0,
                "DesiredWeight": 1.0,
            }
            for variant in self._get(CONFIG, config_name)["ProductionVariants"]
        ]

    def _has_containers(self, config_name: str) -> bool:
        return any(variant.get("ModelName") for variant in self._get(CONFIG, config_name)["ProductionVariants"])

    def _create_endpoint(self, request: Request) -> Request:
        config = request["EndpointConfigName"]
        waits = _external() and self._has_containers(config)
        status = "Creating" if waits else "InService"
        return self._create(ENDPOINT, request, EndpointStatus=status, ProductionVariants=self._variants(config))

    def _update_endpoint(self, request: Request) -> Request:
        endpoint = self._get(ENDPOINT, request["EndpointName"])
        if endpoint["EndpointStatus"] not in ("InService", "Failed"):
            raise ServiceError(
                "ValidationException", f'Cannot update in-progress endpoint "{endpoint["EndpointArn"]}".'
            )
        config = request["EndpointConfigName"]
        variants = self._variants(config)
        waits = _external() and self._has_containers(config)
        endpoint.update(
            {
                "PreviousConfigName": endpoint["EndpointConfigName"],
                "EndpointConfigName": config,
                "ProductionVariants": variants,
                "EndpointStatus": "Updating" if waits else "InService",
                "LastModifiedTime": time.time(),
                "FailureReason": "",
            }
        )
        if not waits:
            endpoint.pop("PreviousConfigName")
        return {"EndpointArn": endpoint["EndpointArn"]}

    def _delete_endpoint(self, request: Request) -> Request:
        name = request["EndpointName"]
        left = [c["InferenceComponentName"] for c in self.store("components").values() if c["EndpointName"] == name]
        if left:
            raise ServiceError(
                "ValidationException", f"Cannot delete endpoint {name}: it has inference components {', '.join(left)}."
            )
        return self._delete(ENDPOINT, request)

    def _create_component(self, request: Request) -> Request:
        endpoint = self._get(ENDPOINT, request["EndpointName"])
        if model := request["Specification"].get("ModelName"):
            self._get(MODEL, model)
        copies = int((request.get("RuntimeConfig") or {}).get("CopyCount", 1))
        waits = _external() and copies > 0
        return self._create(
            COMPONENT,
            request,
            InferenceComponentStatus="Creating" if waits else "InService",
            EndpointArn=endpoint["EndpointArn"],
            RuntimeConfig={"DesiredCopyCount": copies, "CurrentCopyCount": 0 if waits else copies},
        )

    def _update_component(self, request: Request) -> Request:
        component = self._get(COMPONENT, request["InferenceComponentName"])
        if "Specification" in request:
            component["PreviousSpecification"] = component["Specification"]
            component["Specification"] = request["Specification"]
        copies = (request.get("RuntimeConfig") or {}).get("CopyCount")
        if copies is not None:
            component["RuntimeConfig"]["DesiredCopyCount"] = int(copies)
        return self._touch(component)

    def _update_copies(self, request: Request) -> Request:
        component = self._get(COMPONENT, request["InferenceComponentName"])
        component["RuntimeConfig"]["DesiredCopyCount"] = int(request["DesiredRuntimeConfig"]["CopyCount"])
        return self._touch(component)

    def _touch(self, component: dict[str, Any]) -> Request:
        desired = component["RuntimeConfig"]["DesiredCopyCount"]
        waits = _external() and desired > 0
        component["InferenceComponentStatus"] = "Updating" if waits else "InService"
        component["LastModifiedTime"] = time.time()
        if not waits:
            component["RuntimeConfig"]["CurrentCopyCount"] = desired
            component.pop("PreviousSpecification", None)
            component["FailureReason"] = ""
        return {"InferenceComponentArn": component["InferenceComponentArn"]}

    def _add_tags(self, request: Request) -> Request:
        tags = self.store("tags").setdefault(request["ResourceArn"], [])
        new = {tag["Key"] for tag in request["Tags"]}
        tags[:] = [tag for tag in tags if tag["Key"] not in new] + request["Tags"]
        return {"Tags": tags}

    def _settle(self, request: Request) -> Request:
        """What the runner saw: {"Kind", "Name", "Status", "FailureReason", "CurrentCopyCount"}.

        A failed update keeps what ran before, as SageMaker does.
        """
        kind = COMPONENT if request["Kind"] == COMPONENT.arn else ENDPOINT
        item = self._get(kind, request["Name"])
        failed = request["Status"] == "Failed"
        kept = False
        for current, previous in (
            ("EndpointConfigName", "PreviousConfigName"),
            ("Specification", "PreviousSpecification"),
        ):
            before = item.pop(previous, None)
            if failed and before is not None:
                item[current] = before
                kept = True
        # What ran before goes on running: the update failed, the resource did not.
        item[f"{kind.field}Status"] = "InService" if kept else request["Status"]
        item["FailureReason"] = request.get("FailureReason", "")
        if "CurrentCopyCount" in request and "RuntimeConfig" in item:
            item["RuntimeConfig"]["CurrentCopyCount"] = request["CurrentCopyCount"]
        return {}


def _external() -> bool:
    return os.environ.get("LOCALCLOUD_CONTAINERS") == "external"
