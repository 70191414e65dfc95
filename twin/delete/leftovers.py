"""Resources that are deleted before the stacks, and those that AWS leaves after them, in the order of deletion.

Finding reads AWS anew each time and removing what is gone already succeeds, so that a deletion may be interrupted
and run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from infra.names import last_good_parameter
from twin.ask.ingest_task import STARTED_BY
from twin.inventory.ownership import Ownership, is_absent

WITH_RECOVERY = ("prod",)
"""Stages whose secrets keep their recovery window."""
SCALING = "application-autoscaling"
BATCH = 100
IN_TRANSITION = ("Creating", "Updating", "SystemUpdating", "RollingBack")
"""States of an endpoint in which SageMaker refuses to delete it."""


@dataclass(frozen=True)
class Leftover:
    """One kind of resource.

    Attributes:
        find: names of those that the stage owns.
        remove: removes one, whatever is in it.
        empty: takes away what would block CloudFormation's own deletion; None where nothing does.
    """

    kind: str
    find: Callable[[Ownership], list[str]]
    remove: Callable[[Ownership, str], None]
    empty: Callable[[Ownership, str], None] | None = None


def delete_if_present(operation: Callable[..., Any], **arguments: Any) -> None:
    """Call a delete operation; a missing resource counts as deleted."""
    try:
        operation(**arguments)
    except ClientError as error:
        if not is_absent(error):
            raise


def _listed(
    own: Ownership, service: str, operation: str, key: str, name: str | None, **arguments: Any
) -> Iterator[tuple[str, Any]]:
    paginator = own.stage.client(service).get_paginator(operation)
    for page in paginator.paginate(**arguments):
        for item in page.get(key) or ():
            label = item if name is None else item[name]
            if own.owns(label, item):
                yield label, item


def _sagemaker(kind: str, plural: str, operation: str) -> Leftover:
    name_key, delete = f"{plural.removesuffix('s')}Name", f"delete_{operation}"

    def find(own: Ownership) -> list[str]:
        return [name for name, _ in _listed(own, "sagemaker", f"list_{operation}s", plural, name_key)]

    def remove(own: Ownership, name: str) -> None:
        delete_if_present(getattr(own.stage.client("sagemaker"), delete), **{name_key: name})

    return Leftover(kind, find, remove)


def endpoints_in_transition(own: Ownership) -> dict[str, str]:
    """Status by name of the stage's endpoints that SageMaker does not delete yet."""
    found = _listed(own, "sagemaker", "list_endpoints", "Endpoints", "EndpointName")
    return {name: item["EndpointStatus"] for name, item in found if item["EndpointStatus"] in IN_TRANSITION}


def _scaling() -> Leftover:
    def find(own: Ownership) -> list[str]:
        found = _listed(
            own, SCALING, "describe_scalable_targets", "ScalableTargets", "ResourceId", ServiceNamespace="sagemaker"
        )
        return [f"{name}|{target['ScalableDimension']}" for name, target in found]

    def remove(own: Ownership, name: str) -> None:
        deregister = own.stage.client(SCALING).deregister_scalable_target
        resource, dimension = name.split("|")
        # The target's policies go with it.
        delete_if_present(deregister, ServiceNamespace="sagemaker", ResourceId=resource, ScalableDimension=dimension)

    return Leftover("scalable target", find, remove)


def _interfaces() -> Leftover:
    def find(own: Ownership) -> list[str]:
        found = _listed(own, "ec2", "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId")
        # One that is in use goes with what uses it.
        return [name for name, item in found if item.get("Status") == "available"]

    def remove(own: Ownership, name: str) -> None:
        delete_if_present(own.stage.client("ec2").delete_network_interface, NetworkInterfaceId=name)

    return Leftover("network interface", find, remove, empty=remove)


def _volumes() -> Leftover:
    def find(own: Ownership) -> list[str]:
        found = _listed(own, "ec2", "describe_volumes", "Volumes", "VolumeId")
        # One that is in use goes with its machine, or becomes free with its end.
        return [name for name, item in found if item.get("State") == "available"]

    def remove(own: Ownership, name: str) -> None:
        delete_if_present(own.stage.client("ec2").delete_volume, VolumeId=name)

    return Leftover("volume", find, remove)


def _snapshots() -> Leftover:
    """Snapshots that Data Lifecycle Manager took: they stay when its policy goes."""

    def find(own: Ownership) -> list[str]:
        return [
            name for name, _ in _listed(own, "ec2", "describe_snapshots", "Snapshots", "SnapshotId", OwnerIds=["self"])
        ]

    def remove(own: Ownership, name: str) -> None:
        delete_if_present(own.stage.client("ec2").delete_snapshot, SnapshotId=name)

    return Leftover("snapshot", find, remove)


def _log_groups() -> Leftover:
    def find(own: Ownership) -> list[str]:
        return [name for name, _ in _listed(own, "logs", "describe_log_groups", "logGroups", "logGroupName")]

    def remove(own: Ownership, name: str) -> None:
        delete_if_present(own.stage.client("logs").delete_log_group, logGroupName=name)

    return Leftover("log group", find, remove)


def _buckets() -> Leftover:
    def find(own: Ownership) -> list[str]:
        listed = own.stage.client("s3").get_paginator("list_buckets").paginate()
        names = [bucket["Name"] for page in listed for bucket in page.get("Buckets") or ()]
        return [name for name in names if own.owns_bucket(name)]

    def empty(own: Ownership, name: str) -> None:
        s3 = own.stage.client("s3")
        try:
            for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
                # Earlier versions and the markers of deletions keep a bucket as full as its objects do.
                objects = [
                    {"Key": item["Key"], "VersionId": item["VersionId"]}
                    for item in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
                ]
                if objects:
                    s3.delete_objects(Bucket=name, Delete={"Objects": objects, "Quiet": True})
            for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=name):
                for upload in page.get("Uploads", ()):
                    s3.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
        except ClientError as error:
            if not is_absent(error):
                raise

    def remove(own: Ownership, name: str) -> None:
        empty(own, name)
        delete_if_present(own.stage.client("s3").delete_bucket, Bucket=name)

    return Leftover("bucket", find, remove, empty)


def _repositories() -> Leftover:
    def find(own: Ownership) -> list[str]:
        return [name for name, _ in _listed(own, "ecr", "describe_repositories", "repositories", "repositoryName")]

    def empty(own: Ownership, name: str) -> None:
        ecr = own.stage.client("ecr")
        try:
            for page in ecr.get_paginator("list_images").paginate(
                repositoryName=name, PaginationConfig={"PageSize": BATCH}
            ):
                if page["imageIds"]:
                    ecr.batch_delete_image(repositoryName=name, imageIds=page["imageIds"])
        except ClientError as error:
            if not is_absent(error):
                raise

    def remove(own: Ownership, name: str) -> None:
        delete_if_present(own.stage.client("ecr").delete_repository, repositoryName=name, force=True)

    return Leftover("image repository", find, remove, empty)


def _secrets() -> Leftover:
    def find(own: Ownership) -> list[str]:
        keeps_window = own.stage.name in WITH_RECOVERY
        found = _listed(
            own, "secretsmanager", "list_secrets", "SecretList", "ARN", IncludePlannedDeletion=not keeps_window
        )
        return [arn for arn, _ in found]

    def remove(own: Ownership, arn: str) -> None:
        window: dict[str, Any] = {} if own.stage.name in WITH_RECOVERY else {"ForceDeleteWithoutRecovery": True}
        delete_if_present(own.stage.client("secretsmanager").delete_secret, SecretId=arn, **window)

    return Leftover("secret", find, remove)


def _tasks() -> Leftover:
    """Tasks that `twin ingest` has started: no service ends them, and ECS deletes no cluster in which one runs."""

    def find(own: Ownership) -> list[str]:
        ecs, found = own.stage.client("ecs"), []
        for cluster, _ in _listed(own, "ecs", "list_clusters", "clusterArns", None):
            for page in ecs.get_paginator("list_tasks").paginate(cluster=cluster, startedBy=STARTED_BY):
                found += page["taskArns"]
        return found

    def remove(own: Ownership, arn: str) -> None:
        reason = "twin delete"
        delete_if_present(own.stage.client("ecs").stop_task, cluster=arn.split("/")[-2], task=arn, reason=reason)

    return Leftover("running task", find, remove, empty=remove)


def _task_definitions() -> Leftover:
    def find(own: Ownership) -> list[str]:
        return [
            arn
            for status in ("ACTIVE", "INACTIVE")
            for arn, _ in _listed(own, "ecs", "list_task_definitions", "taskDefinitionArns", None, status=status)
        ]

    def remove(own: Ownership, arn: str) -> None:
        ecs = own.stage.client("ecs")
        # CloudFormation only deregisters: an inactive revision stays listed for good.
        delete_if_present(ecs.deregister_task_definition, taskDefinition=arn)
        delete_if_present(ecs.delete_task_definitions, taskDefinitions=[arn])

    return Leftover("task definition", find, remove)


def _last_good() -> Leftover:
    """Without it a stage made anew would be rolled back to a release of its former life; no stack holds it."""

    def find(own: Ownership) -> list[str]:
        wanted = last_good_parameter(own.stage.name)
        return [name for name, _ in _listed(own, "ssm", "describe_parameters", "Parameters", "Name") if name == wanted]

    def remove(own: Ownership, name: str) -> None:
        delete_if_present(own.stage.client("ssm").delete_parameter, Name=name)

    return Leftover("last good release", find, remove)


COMPONENTS = _sagemaker("inference component", "InferenceComponents", "inference_component")
"""These go first and are waited for: an endpoint is not deleted while it holds one."""
LEFTOVERS = (
    COMPONENTS,
    _scaling(),
    _sagemaker("endpoint", "Endpoints", "endpoint"),
    _sagemaker("endpoint config", "EndpointConfigs", "endpoint_config"),
    _sagemaker("model", "Models", "model"),
    _tasks(),
    _task_definitions(),
    _interfaces(),
    _volumes(),
    _snapshots(),
    _log_groups(),
    _buckets(),
    _repositories(),
    _secrets(),
    _last_good(),
)
