"""ECS on Fargate: tasks, their public addresses, their image, Container Insights."""

from __future__ import annotations

from collections.abc import Iterable

from twin.cost.assembly import Resource, number, refers_to
from twin.cost.charge import Charge, Context, Finding, Free, Unknown, always, per_answer
from twin.cost.pricers.scaling import tasks

TASK = "AWS::ECS::TaskDefinition"
INCLUDED_STORAGE_GB = 20
"""Ephemeral storage that comes with a Fargate task."""


def service(resource: Resource, context: Context) -> Iterable[Finding]:
    """Tasks by vCPU and memory hours, and a public address per task where the service asks for one.

    Fargate Spot is counted at the price on demand: its own price moves, and is lower.
    """
    definition = next(
        (each for each in context.assembly.of(TASK, resource.stack) if _runs(resource, each)),
        None,
    )
    if definition is None or not _is_fargate(resource):
        yield Unknown("its tasks are not priced: only Fargate tasks defined in the same stack are")
        return
    least, most = tasks(resource, context.assembly)
    size, platform = definition.properties, definition.properties.get("RuntimePlatform", {})
    architecture = str(platform.get("CpuArchitecture", "X86_64")).lower()
    if str(platform.get("OperatingSystemFamily", "LINUX")).startswith("WINDOWS"):
        yield Unknown("Windows tasks are not priced")
        return
    cpus, memory = number(size.get("Cpu")) / 1024, number(size.get("Memory")) / 1024
    yield Charge(
        f"Tasks, {cpus:f} vCPU {architecture}",
        f"fargate.{architecture}.vcpu",
        lambda load: cpus * load.between(least, most),
    )
    yield Charge(
        f"Tasks, {memory:f} GB",
        f"fargate.{architecture}.memory",
        lambda load: memory * load.between(least, most),
    )
    extra = number(size.get("EphemeralStorage", {}).get("SizeInGiB", INCLUDED_STORAGE_GB)) - INCLUDED_STORAGE_GB
    if extra > 0:
        yield Charge("Tasks, storage", "fargate.storage", lambda load: extra * load.between(least, most))
    outbound = context.assumptions.outbound_kilobytes / 1_000_000
    yield Charge("Data to other services", "transfer.out", per_answer(outbound))
    network = resource.properties.get("NetworkConfiguration", {}).get("AwsvpcConfiguration", {})
    if network.get("AssignPublicIp") == "ENABLED":
        yield Charge("Public IPv4 of tasks", "address.hour", lambda load: load.between(least, most))


def task_definition(resource: Resource, context: Context) -> Iterable[Finding]:
    """The image that it keeps in the registry, and metrics that it publishes; running it is the service's charge."""
    yield Charge("Image in the registry", "registry.stored", always(context.assumptions.image_gigabytes))
    variables = {
        variable.get("Name")
        for container in resource.properties.get("ContainerDefinitions", ())
        for variable in container.get("Environment", ())
    }
    if "METRIC_NAMESPACE" in variables:
        # A metric costs by the hours in which it gets values: none without questions.
        count = context.assumptions.task_metrics
        yield Charge("Published metrics", "metric.month", lambda load: count * load.busy_hours / load.hours)


def cluster(resource: Resource, context: Context) -> Iterable[Finding]:
    """Container Insights, where it is on."""
    values = {each.get("Name"): each.get("Value") for each in resource.properties.get("ClusterSettings", ())}
    insights = values.get("containerInsights", "disabled")
    if insights == "disabled":
        yield Free("an ECS cluster without Container Insights")
    elif insights == "enabled":
        yield Charge("Container Insights", "metric.month", always(context.assumptions.insight_metrics))
    else:
        yield Unknown(f"Container Insights {insights!r} is not priced")


def _is_fargate(service: Resource) -> bool:
    strategy = service.properties.get("CapacityProviderStrategy", ())
    providers = {each.get("CapacityProvider") for each in strategy} or {service.properties.get("LaunchType", "FARGATE")}
    return providers <= {"FARGATE", "FARGATE_SPOT"}


def _runs(service: Resource, definition: Resource) -> bool:
    return refers_to(service.properties.get("TaskDefinition"), definition.logical_id)
