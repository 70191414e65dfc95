"""Markdown tables of typed settings, shared by the pages that are made from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

STRING_FORMATS = {"path": "path", "password": "secret text"}
"""JSON Schema's format of a string -> how a page calls it; other formats keep their name."""


def settings_rows(
    model: type[BaseModel], fields: Mapping[str, FieldInfo], variable: Callable[[str], str]
) -> list[tuple[str, str, str, str, str]]:
    """One row per field: its name, its variable, the values it takes, its default, its description.

    Args:
        model: the settings that the fields belong to.
        fields: fields of `model` by name, in the order of the rows.
        variable: from a field's name to its environment variable.
    """
    schema = model.model_json_schema()
    rows = []
    for name, field in fields.items():
        default = "required" if field.is_required() else format_value(field.get_default(call_default_factory=True))
        values = describe_values(schema["properties"][name], schema.get("$defs", {}))
        rows.append((f"`{name}`", f"`{variable(name)}`", values, default, str(field.description)))
    return rows


def describe_values(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """The values that a setting takes, in words.

    Args:
        schema: JSON Schema of the setting.
        definitions: schemas that `schema` may refer to, by name.
    """
    if "$ref" in schema:
        return f"table of {', '.join(definitions[schema['$ref'].rpartition('/')[2]]['properties'])}"
    if "anyOf" in schema:
        kinds = [describe_values(each, definitions) for each in schema["anyOf"] if each.get("type") != "null"]
        return f"{' or '.join(kinds)}; optional"
    if "enum" in schema:
        return ", ".join(_code(each) for each in schema["enum"])
    match schema["type"]:
        case "array":
            return f"list of {describe_values(schema['items'], definitions)}"
        case "object":
            return f"table of {describe_values(schema.get('additionalProperties', {'type': 'text'}), definitions)}"
        case "integer" | "number" as kind:
            return ", ".join(filter(None, (kind, _bounds(schema))))
        case "string":
            return _string(schema)
        case kind:
            return str(kind)


def format_value(value: Any) -> str:
    """A default as a page shows it: JSON in code marks, `none` for None."""
    plain = to_jsonable_python(value)
    return "none" if plain is None else _code(plain)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table, one line per row."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _string(schema: Mapping[str, Any]) -> str:
    if "pattern" in schema:
        return f"text, {_code(schema['pattern'])}"
    kind = schema.get("format", "text")
    return STRING_FORMATS.get(kind, kind)


def _bounds(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    words = [
        f"{low:,} to {high:,}" if low is not None and high is not None else "",
        f"at least {low:,}" if low is not None and high is None else "",
        f"above {above:,}" if above is not None else "",
        f"at most {high:,}" if high is not None and low is None else "",
        f"below {below:,}" if below is not None else "",
        f"in steps of {schema['multipleOf']:,}" if "multipleOf" in schema else "",
    ]
    return ", ".join(word for word in words if word)


def _code(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return f"`{text}`" if text else '`""`'
