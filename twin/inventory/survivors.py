"""Lists what a stage still owns in every service that its stacks touch: the proof after a delete.

A resource is found by name, by tag and by the history of the stage's stacks (`twin.inventory.ownership`). Each kind is
asked of its own service; what is tagged in services beyond these comes from the Resource Groups Tagging API.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from infra.names import PROJECT
from twin.inventory.identifiers import id_aliases, ids_of
from twin.inventory.listings import ACCOUNT, LISTED_APART, LISTINGS, SCALED, Listing
from twin.inventory.ownership import Ownership, read_ownership
from twin.inventory.pages import pages
from twin.target.stage import Stage

GONE = {"DELETE_COMPLETE", "deleted", "INACTIVE", "terminated"}
GOING = {"delete_in_progress", "deleting", "delete in progress", "shutting-down", "draining", "deploying"}
"""States, in lower case, of what AWS is still deleting; a VPC origin is deployed anew for it."""
STATES = ("StackStatus", "State", "Status", "EndpointStatus", "InferenceComponentStatus")
IS_GOING = "AWS is still deleting it"


@dataclass(frozen=True)
class Survivor:
    """One resource that still exists after a delete.

    Attributes:
        why: where its service says so.
        going: whether AWS is still deleting it: nothing is left to do but to wait.
    """

    service: str
    kind: str
    name: str
    why: str = ""
    going: bool = False


def survivors(stage: Stage, own: Ownership | None = None) -> list[Survivor]:
    """Everything of the stage that still exists; `own` spares reading the history of its stacks again."""
    own = own or read_ownership(stage)
    found: list[Survivor] = []
    existing: set[str] = set()
    for listing in LISTINGS:
        for item in _items(stage, listing):
            if is_gone(item):
                continue
            name = item if listing.name is None else str(item[listing.name])
            existing |= id_aliases(name) | ids_of(item)
            owned = own.owns_bucket(name) if listing.kind == "bucket" else own.owns(name, item)
            if owned:
                going = is_going(item)
                found.append(Survivor(listing.service, listing.kind, name, IS_GOING if going else _why(item), going))
    found += _scalable_targets(own) + _keys(own, existing) + _ecs_services(own, existing) + _machines(own, existing)
    found += _tagged(own, existing, {alias for each in found for alias in id_aliases(each.name)})
    return found


def is_gone(item: Any) -> bool:
    """Whether a list shows a resource that is deleted; one that is being deleted is not, since that may fail."""
    if not isinstance(item, dict):
        return False
    return bool(item.get("DeletedDate")) or any(state in GONE for state in _states(item))


def is_going(item: Any) -> bool:
    """Whether AWS is still deleting a resource, by itself or after what uses it.

    A distribution is switched off before it goes, and an interface that is in use goes with its user.
    """
    if not isinstance(item, dict):
        return False
    if any(state.lower() in GOING for state in _states(item)):
        return True
    switched_off = item.get("Enabled") is False and "DomainName" in item
    return switched_off or (item.get("Status") == "in-use" and "NetworkInterfaceId" in item)


def _states(item: Mapping[str, Any]) -> Iterator[str]:
    for key in STATES:
        state = item.get(key)
        # A load balancer has its code in an object, a machine its name, beside a number.
        found = state.values() if isinstance(state, dict) else (state,)
        yield from (each for each in found if isinstance(each, str))


def _items(stage: Stage, listing: Listing) -> Iterator[Any]:
    client = stage.client(listing.service)
    arguments = {
        key: stage.client("sts").get_caller_identity()["Account"] if value == ACCOUNT else value
        for key, value in listing.arguments
    }
    for page in pages(client, listing.operation, listing.key, **arguments):
        yield from _inside(page, listing.key)


def _inside(answer: Any, key: str) -> Any:
    for part in key.split("."):
        answer = (answer or {}).get(part)
    return answer or ()


def _why(item: Any) -> str:
    return str(item.get("StackStatusReason") or item.get("StackStatus") or "") if isinstance(item, dict) else ""


def _scalable_targets(own: Ownership) -> list[Survivor]:
    client = own.stage.client("application-autoscaling")
    found = []
    for namespace in SCALED:
        try:
            listed = client.get_paginator("describe_scalable_targets").paginate(ServiceNamespace=namespace)
            names = [target["ResourceId"] for page in listed for target in page["ScalableTargets"]]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationException":
                raise
            continue
        found += [Survivor("application-autoscaling", "scalable target", name) for name in names if own.owns(name)]
    return found


def _ecs_services(own: Ownership, existing: set[str]) -> list[Survivor]:
    """Services of the stage's clusters; one without a cluster is gone, even if the tagging API still lists it."""
    client = own.stage.client("ecs")
    clusters = [arn for page in client.get_paginator("list_clusters").paginate() for arn in page["clusterArns"]]
    services = [
        arn
        for cluster in clusters
        for page in client.get_paginator("list_services").paginate(cluster=cluster)
        for arn in page["serviceArns"]
    ]
    existing |= {alias for arn in services for alias in id_aliases(arn)}
    return [Survivor("ecs", "service", arn) for arn in services if own.owns(arn)]


def _machines(own: Ownership, existing: set[str]) -> list[Survivor]:
    """EC2 machines; AWS lists one for an hour after its end."""
    found = []
    for page in own.stage.client("ec2").get_paginator("describe_instances").paginate():
        for machine in (each for reservation in page["Reservations"] for each in reservation["Instances"]):
            if is_gone(machine):
                continue
            existing |= id_aliases(machine["InstanceId"])
            if own.owns(machine["InstanceId"], machine):
                going = is_going(machine)
                found.append(Survivor("ec2", "instance", machine["InstanceId"], IS_GOING if going else "", going))
    return found


def _keys(own: Ownership, existing: set[str]) -> list[Survivor]:
    """Keys that are not being deleted: AWS deletes one a week after the request at the earliest."""
    client = own.stage.client("kms")
    found = []
    for page in client.get_paginator("list_keys").paginate():
        for key in page["Keys"]:
            if not own.owns(key["KeyArn"], key):
                continue
            if client.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "PendingDeletion":
                continue
            existing |= ids_of(key)
            found.append(Survivor("kms", "key", key["KeyArn"]))
    return found


def _tagged(own: Ownership, existing: set[str], known: set[str]) -> list[Survivor]:
    """What carries the stage's tags and was not found yet.

    The tagging API may go on naming what is deleted. Where a service lists the kind itself, its list decides.
    """
    client = own.stage.client("resourcegroupstaggingapi")
    wanted = [{"Key": "project", "Values": [PROJECT]}, {"Key": "stage", "Values": [own.stage.name]}]
    listed = {*LISTED_APART, *(listing.arn for listing in LISTINGS)}
    found = []
    for page in client.get_paginator("get_resources").paginate(TagFilters=wanted):
        for arn in (resource["ResourceARN"] for resource in page["ResourceTagMappingList"]):
            service, kind = kind_of(arn)
            if id_aliases(arn) & (known | own.kept):
                continue
            if (f"{service}:{kind}" in listed or f"{service}:" in listed) and not id_aliases(arn) & existing:
                continue
            found.append(Survivor(service, kind or service, arn))
    return found


def kind_of(arn: str) -> tuple[str, str]:
    """Service and type of an ARN; the type is empty where the ARN has none."""
    _, _, service, _, _, resource = arn.split(":", 5)
    for separator in ("/", ":"):
        if separator in resource:
            return service, resource.split(separator)[0].split(":")[0]
    return service, ""
