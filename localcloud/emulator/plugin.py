"""Installation of everything that this package adds to MiniStack."""

from __future__ import annotations

from localcloud.account import Credentials
from localcloud.emulator import alarm_notices, authorization, corrections, faults, long_polls, sessions, targets
from localcloud.emulator.cloudformation import (
    autoscaling,
    early_validation,
    ec2,
    edge,
    events,
    express,
    governance,
    stack_times,
)
from localcloud.emulator.cloudformation import ecs as ecs_types
from localcloud.emulator.cloudformation import sagemaker as sagemaker_types
from localcloud.emulator.edge import distribution, load_balancer
from localcloud.emulator.loopback import Loopback
from localcloud.emulator.registry import ResourceType, register_resource_types, register_service
from localcloud.emulator.rules import enforcement
from localcloud.emulator.rules.enforcement import Rules
from localcloud.emulator.services import codebuild, ecs_deployments, oidc_providers
from localcloud.emulator.services.application_autoscaling import ApplicationAutoScaling
from localcloud.emulator.services.sagemaker import SageMaker
from localcloud.emulator.settling import external_containers


def install(port: int, credentials: Credentials, rules: Rules) -> list[str]:
    """Add services, resource types and corrections; returns the resource types that were missing.

    Args:
        port: where the emulator will listen; resource types call its API back.
        credentials: what they sign with.
        rules: what AWS refuses.
    """
    register_service(SageMaker())
    register_service(ApplicationAutoScaling())
    oidc_providers.install()
    codebuild.install(port)
    added = register_resource_types(resource_types(Loopback(port, credentials)))
    corrections.install()
    alarm_notices.install()
    authorization.install()
    sessions.install()
    stack_times.install()
    if external_containers():
        ecs_deployments.install()
        ecs_types.install()
    targets.install()
    load_balancer.install()
    distribution.install()
    faults.install()
    enforcement.install(rules)
    events.install()
    express.install()
    early_validation.install(rules)
    long_polls.install()
    return added


def resource_types(api: Loopback) -> dict[str, ResourceType]:
    """Every resource type that this package knows, by name."""
    return {
        **sagemaker_types.resource_types(api),
        **autoscaling.resource_types(api),
        **ec2.resource_types(api),
        **edge.resource_types(api),
        **governance.resource_types(api),
    }
