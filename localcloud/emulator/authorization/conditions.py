"""Keys of conditions: tags of a resource, its network, what a request names, and the transport of a call.

Which keys a call has is in the tables of the Service Authorization Reference, for instance
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator
from ministack.core.iam_evaluator import is_root_access_key
from ministack.services import dynamodb, ec2, tagging

from localcloud.emulator.authorization.resources import SCALING, json_fields
from localcloud.emulator.registry import registered

Tags = Iterator[tuple[str, list[dict[str, str]]]]
BY_PREFIX = ("secretsmanager", "ec2", "ecs", "ecr")
"""Services that have the tags of a resource under a key of their own as well."""


_of_request: ContextVar[Mapping[str, Any] | None] = ContextVar("keys_of_request", default=None)


def install() -> None:
    """Complete the keys that a condition may ask for."""
    tagging._RESOURCE_TAG_COLLECTORS.update(
        {
            SCALING: _targets,
            "sagemaker": _models,
            "ecr": tagging._collect_ecr,
            "ecs": tagging._collect_ecs,
            "scheduler": tagging._collect_scheduler,
        }
    )
    iam_actions.extract_resource_arn = _noting(iam_actions.extract_resource_arn)
    iam_evaluator.enforce = with_conditions(iam_evaluator.enforce)
    app.pin_request_origin = _encrypted(iam_evaluator.pin_request_origin)


def with_conditions(enforce: Callable[..., Any]) -> Callable[..., Any]:
    """MiniStack's decision, with every key that AWS knows of the resource.

    MiniStack 1.5.33 looks up a resource's tags only where the caller's own policies name them, not where its boundary
    does, and has no key of EC2's.
    """

    def decided(
        access_key: str, action: str, service: str, region: str, resource_arn: str = "*", service_context: Any = None
    ) -> Any:
        """None when the call is allowed, else MiniStack's refusal."""
        context = dict(service_context or {})
        if not is_root_access_key(access_key or ""):
            context = {**_keys_of(service, resource_arn), **(_of_request.get() or {}), **context}
        return enforce(access_key, action, service, region, resource_arn=resource_arn, service_context=context)

    return decided


def _noting(resource_arn: Callable[..., Any]) -> Callable[..., Any]:
    def noted(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
    ) -> Any:
        """The resource of a call, whose own keys are noted for the decision."""
        _of_request.set(keys_of_request(service, json_fields(body), query))
        return resource_arn(service, method, path, headers, body, query, region, account)

    return noted


def keys_of_request(service: str, fields: Mapping[str, Any], query: Mapping[str, Any]) -> dict[str, Any]:
    """Keys that a request itself has.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsapplicationautoscaling.html
    """
    found: dict[str, Any] = {}
    if service == "monitoring":
        found["cloudwatch:namespace"] = iam_actions._query_param(query, "Namespace") or fields.get("Namespace")
    elif service == SCALING:
        found[f"{SCALING}:service-namespace"] = fields.get("ServiceNamespace")
        found[f"{SCALING}:scalable-dimension"] = fields.get("ScalableDimension")
    elif service == "dynamodb":
        found["dynamodb:LeadingKeys"] = _leading_keys(fields)
    return {key: value for key, value in found.items() if value}


def _leading_keys(fields: Mapping[str, Any]) -> list[str]:
    """Values of the partition key of the one item that a call names."""
    table = dynamodb._tables.get(str(fields.get("TableName", "")).rpartition("/")[2]) or {}
    name = next((each["AttributeName"] for each in table.get("KeySchema", ()) if each["KeyType"] == "HASH"), "")
    item = fields.get("Key") or fields.get("Item") or {}
    return [str(value) for value in (item.get(name) or {}).values()]


def _keys_of(service: str, arn: str) -> dict[str, Any]:
    tags = _tags_of(arn)
    found = {f"aws:ResourceTag/{name}": value for name, value in tags.items()}
    if service in BY_PREFIX:
        found |= {f"{service}:ResourceTag/{name}": value for name, value in tags.items()}
    interface = _interface(arn)
    if interface:
        account = arn.rpartition(":")[0]
        found["ec2:Vpc"] = f"{account}:vpc/{interface['VpcId']}"
        found["ec2:Subnet"] = f"{account}:subnet/{interface['SubnetId']}"
        found["ec2:NetworkInterfaceID"] = interface["NetworkInterfaceId"]
    return found


def _interface(arn: str) -> Mapping[str, Any] | None:
    resource = arn.rpartition(":")[2]
    if ":ec2:" not in arn or not resource.startswith("network-interface/"):
        return None
    found: Mapping[str, Any] | None = ec2._network_interfaces.get(resource.partition("/")[2])
    return found


def _tags_of(arn: str) -> dict[str, str]:
    if arn.startswith("arn:aws:ec2:"):
        return {tag["Key"]: tag["Value"] for tag in ec2._tags.get(arn.rpartition("/")[2], ())}
    return dict(tagging.resource_tags(arn) or {})


def _targets() -> Tags:
    for arn, tags in registered(SCALING).store("tags").items():
        yield arn, [{"Key": key, "Value": value} for key, value in tags.items()]


def _models() -> Tags:
    yield from registered("sagemaker").store("tags").items()


def _encrypted(pin: Callable[..., None]) -> Callable[..., None]:
    def pinned(source_ip: str, _: bool) -> None:
        """Note where a call comes from.

        The policies of buckets and topics refuse requests without TLS. The loopback interface has none and needs
        none: it stands for an encrypted connection.
        """
        pin(source_ip, True)

    return pinned
