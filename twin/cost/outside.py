"""Services outside AWS that a stage uses: hosts that its containers and functions reach by URL."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from twin.cost.assembly import Assembly, Resource

STORES = ("QDRANT_URL", "OPIK_URL_OVERRIDE")
"""Variables whose values are services that a stage cannot do without."""


def external_services(assembly: Assembly) -> list[str]:
    """Hosts outside AWS, sorted, each once: their bills come on top."""
    found = {
        urlsplit(value).hostname or ""
        for resource in assembly.resources
        for name, value in _environment(resource)
        if name in STORES and isinstance(value, str)
    }
    return sorted(host for host in found if host and not host.endswith(".amazonaws.com"))


def _environment(resource: Resource) -> Iterator[tuple[object, object]]:
    if resource.kind == "AWS::Lambda::Function":
        yield from resource.properties.get("Environment", {}).get("Variables", {}).items()
    elif resource.kind == "AWS::ECS::TaskDefinition":
        for container in resource.properties.get("ContainerDefinitions", ()):
            for variable in container.get("Environment", ()):
                yield variable.get("Name"), variable.get("Value")
