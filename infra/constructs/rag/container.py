"""Task definitions of the RAG service's image: locked down, with the service's size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.constructs.shared.acknowledge import acknowledge
from infra.constructs.shared.trust import trust_own_account
from infra.names import Names
from infra.settings.deployment import DeploymentSettings

USER = "10001:10001"


def image_task(
    scope: Construct, construct_id: str, settings: DeploymentSettings, program: str
) -> ecs.FargateTaskDefinition:
    """A task definition without containers; its role is taken for this account only.

    Its family is named after the stage and `program`, so that a role can be granted the definitions of single stages.
    """
    task = ecs.FargateTaskDefinition(
        scope,
        construct_id,
        family=Names.of(settings).task_definition(program),
        cpu=settings.rag.cpu,
        memory_limit_mib=settings.rag.memory_mb,
        runtime_platform=ecs.RuntimePlatform(
            cpu_architecture=ecs.CpuArchitecture.ARM64, operating_system_family=ecs.OperatingSystemFamily.LINUX
        ),
    )
    trust_own_account(task.task_role, service="ecs", resource="*")
    acknowledge(task, "AwsSolutions-ECS2", "Plain variables hold addresses and numbers; every secret is an ECS secret.")
    acknowledge(
        task,
        "AwsSolutions-IAM5[Resource::*]",
        "ecr:GetAuthorizationToken, which pulling the image needs, has no resource-level permissions.",
    )
    return task


def add_program(
    task: ecs.FargateTaskDefinition,
    name: str,
    settings: DeploymentSettings,
    *,
    command: Sequence[str],
    environment: Mapping[str, str],
    secrets: Mapping[str, ecs.Secret],
    log_group: logs.ILogGroup,
    stop_timeout: cdk.Duration | None = None,
    port: int | None = None,
) -> None:
    """Add the container that runs a program of the image.

    Args:
        task: of `image_task`.
        name: of the container, and prefix of its log streams.
        settings: of the stage.
        command: program and arguments.
        environment: plain variables.
        secrets: variables that ECS reads from their stores when a task starts.
        log_group: where its output goes.
        stop_timeout: between the stop signal and the kill; None for ECS's 30 s.
        port: that it listens on.
    """
    linux = ecs.LinuxParameters(task, "Linux", init_process_enabled=True)
    linux.add_tmpfs(
        ecs.Tmpfs(
            container_path="/tmp",  # noqa: S108 - the container's own, a size-limited tmpfs
            size=settings.rag.tmpfs_mb,
            mount_options=[ecs.TmpfsMountOption.RW, ecs.TmpfsMountOption.NOSUID, ecs.TmpfsMountOption.NODEV],
        )
    )
    task.add_container(
        name,
        container_name=name,
        image=_image(task, settings),
        command=list(command),
        environment=dict(environment),
        secrets=dict(secrets),
        user=USER,
        readonly_root_filesystem=True,
        linux_parameters=linux,
        port_mappings=[ecs.PortMapping(container_port=port, protocol=ecs.Protocol.TCP)] if port else None,
        stop_timeout=stop_timeout,
        logging=ecs.LogDrivers.aws_logs(
            stream_prefix=name, log_group=log_group, mode=ecs.AwsLogDriverMode.NON_BLOCKING
        ),
    )


def _image(task: ecs.FargateTaskDefinition, settings: DeploymentSettings) -> ecs.ContainerImage:
    """The published image that the settings name, else that of the release in the account's repository."""
    if settings.rag.image is not None:
        return ecs.ContainerImage.from_registry(settings.rag.image)
    repository = ecr.Repository.from_repository_name(task, "Images", settings.rag.image_repository)
    return ecs.ContainerImage.from_ecr_repository(repository, tag=settings.release)
