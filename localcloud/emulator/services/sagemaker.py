"""Control plane of SageMaker: models, endpoint configurations, endpoints, inference components.

When another process runs the containers (`settling.py`), an endpoint or component stays `Creating` or `Updating` until
that process calls the private operation `LocalcloudSettle`, and fails when it does not in time.
API: https://docs.aws.amazon.com/sagemaker/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import get_account_id, get_region

from localcloud.aws_time import stacks_take_time, wake_here
from localcloud.emulator.pages import page
from localcloud.emulator.registry import JsonService, ServiceError
from localcloud.emulator.services.managed_instances import IDLE_SINCE, with_instances
from localcloud.emulator.settling import external_containers, longest_seconds

DEFAULT_PAGE = 10
IN_PROGRESS = ("Creating", "Updating")
ONE_SPECIFICATION, SPECIFICATIONS = "Specification", "Specifications"
Request = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """One kind of SageMaker resource and its names in the API.

    Attributes:
        store: name of its store in the emulator's state.
        arn: resource type in its ARN, also used in messages.
        field: stem of its operations and fields, e.g. `Endpoint` in `CreateEndpoint` and `EndpointArn`.
        list_key: field that lists it in the response of its List operation.
        summary: fields of a list entry beside name, ARN and creation time.
    """

    store: str
    arn: str
    field: str
    list_key: str
    summary: tuple[str, ...] = ()

    @property
    def name_key(self) -> str:
        """Field of its name, e.g. `EndpointName`."""
        return f"{self.field}Name"

    @property
    def arn_key(self) -> str:
        """Field of its ARN, e.g. `EndpointArn`."""
        return f"{self.field}Arn"

    @property
    def status_key(self) -> str:
        """Field of its status, e.g. `EndpointStatus`."""
        return f"{self.field}Status"


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
PREVIOUS = "LocalcloudPrevious"
"""Field of a resource that is being updated: the values to restore when the update fails."""


class SageMaker(JsonService):
    """The SageMaker operations that our stacks, our tools and CloudFormation use."""

    name = "sagemaker"
    target_prefix = "SageMaker."

    def operations(self) -> Mapping[str, Callable[[Request], Request]]:
        """Functions by operation name. A missing resource is ValidationException, as on AWS; other refusals are rules
        (`rules/sagemaker_states.py` and its neighbours), which are asked before.
        """
        table: dict[str, Callable[[Request], Request]] = {
            "CreateModel": lambda r: self._create(MODEL, r),
            "CreateEndpointConfig": self._create_config,
            "CreateEndpoint": self._create_endpoint,
            "UpdateEndpoint": self._update_endpoint,
            "CreateInferenceComponent": self._create_component,
            "UpdateInferenceComponent": self._update_component,
            "UpdateInferenceComponentRuntimeConfig": self._update_copies,
            "DeleteInferenceComponent": self._delete_component,
            "DescribeEndpoint": self._describe_endpoint,
            "AddTags": self._add_tags,
            "DeleteTags": self._delete_tags,
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
        self._fail_when_late(kind, found)
        return found

    def current(self, kind: Kind, name: object) -> dict[str, Any] | None:
        """A resource as it is now, which may have failed for lack of time; None when there is none."""
        return self._get(kind, str(name)) if name in self.store(kind.store) else None

    def _fail_when_late(self, kind: Kind, item: dict[str, Any]) -> None:
        status = item.get(kind.status_key)
        takes_time = status == "Updating" or stacks_take_time()
        longest = longest_seconds() + (wake_here(cached=False) if takes_time else 0.0)
        if status in IN_PROGRESS and time.time() - item["LastModifiedTime"] > longest:
            self._finish(kind, item, "Failed", f"it is still {status} after {round(longest, 1):g} s")

    def _create(self, kind: Kind, request: Request, **more: Any) -> Request:
        name, store = request[kind.name_key], self.store(kind.store)
        arn = self._arn(kind, name)
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
        items = list(self.store(kind.store).values())
        for item in items:
            self._fail_when_late(kind, item)
        wanted = [
            item
            for item in items
            if request.get("NameContains", "") in item[kind.name_key]
            and request.get("StatusEquals") in (None, item.get(kind.status_key))
            and request.get("EndpointNameEquals") in (None, item.get("EndpointName"))
            and request.get("VariantNameEquals") in (None, item.get("VariantName"))
            and all(
                request.get(f"{field}After", 0) <= item[field] <= request.get(f"{field}Before", math.inf)
                for field in ("CreationTime", "LastModifiedTime")
            )
        ]
        sort_keys = {"Name": kind.name_key, "Status": kind.status_key}
        key = sort_keys.get(request.get("SortBy", ""), "CreationTime")
        wanted.sort(key=lambda item: item[key], reverse=request.get("SortOrder") != "Ascending")
        found, token = page(wanted, request, DEFAULT_PAGE)
        return {kind.list_key: [{key: item[key] for key in keys if key in item} for item in found], **token}

    def _create_config(self, request: Request) -> Request:
        for variant in request["ProductionVariants"]:
            overrides = [pool.get("ModelNameOverride") for pool in variant.get("InstancePools", ())]
            for model in filter(None, (variant.get("ModelName"), *overrides)):
                self._get(MODEL, model)
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

    def _describe_endpoint(self, request: Request) -> Request:
        endpoint = self._get(ENDPOINT, request["EndpointName"])
        config = self.store("configs").get(endpoint["EndpointConfigName"]) or {}
        components = [
            each for each in self.store("components").values() if each["EndpointName"] == endpoint["EndpointName"]
        ]
        return with_instances(endpoint, config, components)

    def _note_idle(self, component: Mapping[str, Any]) -> None:
        endpoint = self.store("endpoints").get(component["EndpointName"])
        if endpoint is not None:
            endpoint[IDLE_SINCE] = time.time()

    def _create_endpoint(self, request: Request) -> Request:
        config = request["EndpointConfigName"]
        waits = external_containers() and self._has_containers(config)
        status = "Creating" if waits else "InService"
        return self._create(ENDPOINT, request, EndpointStatus=status, ProductionVariants=self._variants(config))

    def _update_endpoint(self, request: Request) -> Request:
        endpoint = self._get(ENDPOINT, request["EndpointName"])
        config = request["EndpointConfigName"]
        changes = {"EndpointConfigName": config, "ProductionVariants": self._variants(config)}
        return self._change(ENDPOINT, endpoint, changes, waits=external_containers() and self._has_containers(config))

    def _change(self, kind: Kind, item: dict[str, Any], changes: Mapping[str, Any], *, waits: bool) -> Request:
        item[PREVIOUS] = {key: item[key] for key in changes}
        item.update({**changes, kind.status_key: "Updating", "LastModifiedTime": time.time(), "FailureReason": ""})
        if not waits:
            self._finish(kind, item, "InService", "")
        return {kind.arn_key: item[kind.arn_key]}

    def _create_component(self, request: Request) -> Request:
        endpoint = self._get(ENDPOINT, request["EndpointName"])
        specifications = self._specifications(request)
        copies = int((request.get("RuntimeConfig") or {}).get("CopyCount", 1))
        waits = external_containers() and copies > 0
        return self._create(
            COMPONENT,
            {**request, **specifications},
            InferenceComponentStatus="Creating" if waits else "InService",
            EndpointArn=endpoint["EndpointArn"],
            RuntimeConfig={"DesiredCopyCount": copies, "CurrentCopyCount": 0 if waits else copies},
        )

    def _delete_component(self, request: Request) -> Request:
        self._note_idle(self._get(COMPONENT, request["InferenceComponentName"]))
        return self._delete(COMPONENT, request)

    def _update_component(self, request: Request) -> Request:
        component = self._get(COMPONENT, request["InferenceComponentName"])
        given = any(request.get(key) for key in (ONE_SPECIFICATION, SPECIFICATIONS))
        copies = (request.get("RuntimeConfig") or {}).get("CopyCount")
        return self._change_component(component, self._specifications(request) if given else {}, copies)

    def _specifications(self, request: Request) -> dict[str, Any]:
        """What a component runs: one specification for all instance types, or one for each of at least two.

        Either, not both: botocore's model. At least two: aws-cdk-lib 2.275, CfnInferenceComponent. The words are ours.
        """
        one, each = request.get(ONE_SPECIFICATION) or {}, request.get(SPECIFICATIONS) or []
        if bool(one) == bool(each) or (each and len({item.get("InstanceType") for item in each} - {None}) < 2):
            raise ServiceError(
                "ValidationException",
                "Specify either Specification, or Specifications for two or more different instance types.",
            )
        for item in (*([one] if one else ()), *each):
            if model := item.get("ModelName"):
                self._get(MODEL, model)
        return {ONE_SPECIFICATION: one, SPECIFICATIONS: each}

    def _update_copies(self, request: Request) -> Request:
        component = self._get(COMPONENT, request["InferenceComponentName"])
        return self._change_component(component, {}, request["DesiredRuntimeConfig"]["CopyCount"])

    def _change_component(
        self, component: dict[str, Any], specifications: Mapping[str, Any], copies: int | None
    ) -> Request:
        runtime = component["RuntimeConfig"]
        desired = runtime["DesiredCopyCount"] if copies is None else int(copies)
        runs = {key: component[key] for key in (ONE_SPECIFICATION, SPECIFICATIONS)}
        changes = {**runs, **specifications, "RuntimeConfig": {**runtime, "DesiredCopyCount": desired}}
        return self._change(COMPONENT, component, changes, waits=external_containers() and desired > 0)

    def _add_tags(self, request: Request) -> Request:
        tags = self.store("tags").setdefault(request["ResourceArn"], [])
        new = {tag["Key"] for tag in request["Tags"]}
        tags[:] = [tag for tag in tags if tag["Key"] not in new] + request["Tags"]
        return {"Tags": tags}

    def _delete_tags(self, request: Request) -> Request:
        tags = self.store("tags").get(request["ResourceArn"], [])
        tags[:] = [tag for tag in tags if tag["Key"] not in request["TagKeys"]]
        return {}

    def _settle(self, request: Request) -> Request:
        """Record what the runner reports: {"Kind", "Name", "Status", "FailureReason", "CurrentCopyCount"}."""
        kind = COMPONENT if request["Kind"] == COMPONENT.arn else ENDPOINT
        item = self._get(kind, request["Name"])
        if item[kind.status_key] in IN_PROGRESS:
            self._finish(kind, item, request["Status"], request.get("FailureReason", ""))
        if "RuntimeConfig" in item and "CurrentCopyCount" in request:
            item["RuntimeConfig"]["CurrentCopyCount"] = request["CurrentCopyCount"]
        return {}

    def _finish(self, kind: Kind, item: dict[str, Any], status: str, reason: str) -> None:
        """End a creation or an update; a failed update restores the previous configuration, as SageMaker does."""
        previous = item.pop(PREVIOUS, None)
        if status == "Failed" and previous is not None:
            item.update(previous)
            status = "InService"
        item.update({kind.status_key: status, "FailureReason": reason, "LastModifiedTime": time.time()})
        if status == "InService" and "RuntimeConfig" in item:
            item["RuntimeConfig"]["CurrentCopyCount"] = item["RuntimeConfig"]["DesiredCopyCount"]
            if not item["RuntimeConfig"]["CurrentCopyCount"]:
                self._note_idle(item)
