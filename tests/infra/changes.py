"""Updates and replacements between two templates, by the public schemas of the resource types.

A changed property that its schema calls create-only replaces the resource; any other change updates it in place. A
resource that refers to a replaced one changes with it.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped]

from .conftest import Template

Action = Literal["update", "replace"]
REGION = "us-east-1"
NAMES_FOR_LIFE = ("EndpointName", "InferenceComponentName")
"""Fixed on purpose: callers name the endpoint and its component by them, and no change below replaces either."""


def schema(kind: str) -> dict[str, Any]:
    """The public schema of a resource type."""
    found: dict[str, Any] = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema
    return found


def create_only(kind: str) -> set[str]:
    """Paths of the properties whose change replaces, `Outer` or `Outer/Inner`."""
    return {path.removeprefix("/properties/") for path in schema(kind).get("createOnlyProperties") or ()}


def fixed_names(resource: Template) -> set[str]:
    """Properties by which a template itself names a resource, of which two cannot exist at a time."""
    kind, properties = resource["Type"], resource.get("Properties", {})
    identifying = {path.removeprefix("/properties/") for path in schema(kind).get("primaryIdentifier") or ()}
    candidates = {name for name in create_only(kind) | identifying if name.endswith("Name")}
    return {name for name in candidates if isinstance(properties.get(name), str)}


def changes(old: Template, new: Template) -> dict[str, Action]:
    """By logical id, what happens to each resource that stays and changes."""
    before, after = old["Resources"], new["Resources"]
    done: dict[str, Action] = {}
    while True:
        found = {
            name: action
            for name in before.keys() & after.keys()
            if (
                action := _action(before[name], after[name], {each for each, what in done.items() if what == "replace"})
            )
        }
        if found == done:
            return found
        done = found


def by_type(template: Template, found: dict[str, Action]) -> dict[str, Action]:
    """The changes by resource type without `AWS::`; a type's strongest change counts."""
    result: dict[str, Action] = {}
    for name, action in sorted(found.items(), key=lambda item: item[1], reverse=True):
        kind = template["Resources"][name]["Type"].removeprefix("AWS::")
        result[kind] = "replace" if "replace" in (action, result.get(kind)) else "update"
    return result


def _action(old: Template, new: Template, replaced: set[str]) -> Action | None:
    before, after = old.get("Properties", {}), new.get("Properties", {})
    touched = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    touched |= {key for key, value in after.items() if _refers(value, replaced)}
    if not touched:
        return None
    paths = create_only(new["Type"])
    inner = {path for path in paths if "/" in path and _inside(before, path) != _inside(after, path)}
    return "replace" if touched & paths or inner else "update"


def _refers(value: Any, names: set[str]) -> bool:
    text = json.dumps(value)
    return any(f'"Ref": "{name}"' in text or f'"Fn::GetAtt": ["{name}"' in text for name in names)


def _inside(properties: Any, path: str) -> Any:
    for key in path.split("/"):
        properties = properties.get(key) if isinstance(properties, dict) else None
    return properties
