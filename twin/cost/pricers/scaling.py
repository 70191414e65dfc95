"""Ranges of tasks, instances and copies that a template allows."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from twin.cost.assembly import Assembly, Resource, number, refers_to
from twin.cost.office_hours import COPIES, TARGET

INSTANCES = "sagemaker:variant:DesiredInstanceCount"
TASKS = "ecs:service:DesiredCount"


class Range(NamedTuple):
    """Least and most of something that scales."""

    least: Decimal
    most: Decimal


def tasks(service: Resource, assembly: Assembly) -> Range:
    """Tasks of an ECS service: what scaling allows, else its desired count (ECS starts one when none is given)."""
    for target in assembly.of(TARGET, service.stack):
        if target.properties.get("ScalableDimension") == TASKS and refers_to(
            target.properties.get("ResourceId"), service.logical_id
        ):
            return _range(target)
    desired = number(service.properties.get("DesiredCount", 1))
    return Range(desired, desired)


def instances(config: Resource, variant: dict[str, object], assembly: Assembly) -> Range:
    """Instances behind a variant: by managed scaling, a scalable target of the stack, else what it starts with."""
    managed = variant.get("ManagedInstanceScaling")
    initial = number(variant.get("InitialInstanceCount", 1))
    if isinstance(managed, dict) and managed.get("Status", "ENABLED") == "ENABLED":
        least = number(managed.get("MinInstanceCount", initial))
        return Range(least, number(managed.get("MaxInstanceCount", initial)))
    for target in assembly.of(TARGET, config.stack):
        if target.properties.get("ScalableDimension") == INSTANCES:
            return _range(target)
    return Range(initial, initial)


def copies(assembly: Assembly) -> Decimal:
    """Copies of models that may run at once: those of inference components, else one per instance."""
    limits = [target for target in assembly.of(TARGET) if target.properties.get("ScalableDimension") == COPIES]
    if limits:
        return sum((_range(target).most for target in limits), Decimal(0))
    total = Decimal(0)
    for config in assembly.of("AWS::SageMaker::EndpointConfig"):
        for variant in config.properties.get("ProductionVariants", ()):
            total += instances(config, variant, assembly).most
    return total


def _range(target: Resource) -> Range:
    return Range(number(target.properties.get("MinCapacity")), number(target.properties.get("MaxCapacity")))
