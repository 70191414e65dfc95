"""Rule of the resource schemas, by which CloudFormation checks properties before it calls a service.

The schemas are those of us-east-1 that cfn-lint brings. Their files are read by themselves: cfn-lint's modules would
take some 60 MB of the emulator's memory. Lengths, bounds and lists of values are looked at; patterns and required
properties are not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from localcloud.emulator.rules.rule import Change, Checks, Values


@cache
def _folder() -> Path:
    spec = find_spec("cfnlint")
    assert spec is not None and spec.submodule_search_locations  # noqa: S101 - a dependency
    return Path(spec.submodule_search_locations[0]) / "data" / "schemas"


def _files() -> dict[str, str]:
    found: dict[str, str] = json.loads((_folder() / "providers" / "us-east-1.json").read_text(encoding="utf-8"))
    return found


FILES = _files()
"""Name of the schema's file by resource type."""


@cache
def _schema(kind: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads((_folder() / "resources" / f"{FILES[kind]}.json").read_text(encoding="utf-8"))
    return found


def _broken(value: Any, part: Mapping[str, Any], whole: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    """Paths of the values below one, each with the keyword of the schema that it does not keep."""
    if "$ref" in part:
        part = whole["definitions"][part["$ref"].rpartition("/")[2]]
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in (part.get("properties") or {}):
                yield from _broken(inner, part["properties"][name], whole, f"{path}/{name}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _broken(inner, part.get("items") or {}, whole, f"{path}/{index}")
        if len(value) > part.get("maxItems", len(value)):
            yield path, "maxItems"
    elif value is not None:
        yield from ((path, keyword) for keyword in _keywords(value, part))


def _keywords(value: Any, part: Mapping[str, Any]) -> Iterator[str]:
    """Keywords that one value does not keep. CloudFormation takes numbers as text and the other way round."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if "enum" in part and text not in [
        str(each).lower() if isinstance(each, bool) else str(each) for each in part["enum"]
    ]:
        yield "enum"
    if len(text) > part.get("maxLength", len(text)):
        yield "maxLength"
    try:
        number = float(text)
    except ValueError:
        return
    if number < part.get("minimum", number):
        yield "minimum"
    if number > part.get("maximum", number):
        yield "maximum"


def _refused(change: Change) -> Values | None:
    if change.action == "delete":
        return None
    schema = _schema(change.type)
    for path, keyword in _broken(change.after, schema, schema, "#"):
        return {"path": path, "keyword": keyword}
    return None


CHECKS: Checks = {
    "resource-schema": _refused,
}
