"""`python -m scripts.configuration_docs`: writes docs/configuration.md from the typed deployment settings."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from infra.settings.deployment import CONFIG, NESTING, PREFIX, DeploymentSettings

TARGET = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"
PROFILES = {"lowest cost": "dev", "standard": "standard", "private": "prod"}
"""Name of each profile -> the file under infra/config that is it."""
INTRODUCTION = """# Configuration

Made from `infra/settings/deployment.py` by `make docs`; do not edit it by hand.

A stage is a file, `infra/config/STAGE.toml`. An environment variable `TWIN_GROUP__NAME` beats the file; the value of a
list or a table is JSON (`TWIN_LLM__ENVIRONMENT='{"NAME": "value"}'`). What is wrong, missing or unknown is refused
before anything is synthesized, with the setting, its file and its variable. Secrets are no settings: they are put into
Secrets Manager after the deployment.

## Profiles

A profile is a stage to start from: `cp infra/config/standard.toml infra/config/STAGE.toml`, or set single variables.
`make cost STAGE=...` prices it before it is deployed. The stages `local` and `preview` are the lowest cost profile with
smaller numbers. What is not in this table is the same in all three.
"""


def render() -> str:
    """The whole page."""
    groups = {name: field for name, field in DeploymentSettings.model_fields.items() if _group(field)}
    # The stage's name is the file's: it is given to the command.
    single = {name: field for name, field in DeploymentSettings.model_fields.items() if name not in {*groups, "stage"}}
    parts = [
        INTRODUCTION,
        _profiles(),
        "## Settings\n",
        "### Top of the file\n",
        _settings(DeploymentSettings, single, ""),
    ]
    for name, field in groups.items():
        group = _group(field)
        assert group is not None
        parts += [f"### `[{name}]`\n", f"{field.description}\n", _settings(group, group.model_fields, name)]
    return "\n".join(parts)


def _group(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _settings(model: type[BaseModel], fields: Mapping[str, FieldInfo], group: str) -> str:
    schema = model.model_json_schema()
    rows = []
    for name, field in fields.items():
        variable = PREFIX + NESTING.join(part.upper() for part in (group, name) if part)
        default = "required" if field.is_required() else _value(field.get_default(call_default_factory=True))
        kind = _kind(schema["properties"][name], schema.get("$defs", {}))
        rows.append((f"`{name}`", f"`{variable}`", kind, default, str(field.description)))
    return _table(("name", "variable", "values", "default", "what it is"), rows)


def _kind(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """The values that a setting takes, in words."""
    if "$ref" in schema:
        return f"table of {', '.join(definitions[schema['$ref'].rpartition('/')[2]]['properties'])}"
    if "anyOf" in schema:
        kinds = [_kind(each, definitions) for each in schema["anyOf"] if each.get("type") != "null"]
        return f"{' or '.join(kinds)}; optional"
    if "enum" in schema:
        return ", ".join(_code(each) for each in schema["enum"])
    match schema["type"]:
        case "array":
            return f"list of {_kind(schema['items'], definitions)}"
        case "object":
            return f"table of {_kind(schema.get('additionalProperties', {'type': 'text'}), definitions)}"
        case "integer" | "number" as kind:
            return ", ".join(filter(None, (kind, _bounds(schema))))
        case "string":
            return f"text, {_code(schema['pattern'])}" if "pattern" in schema else schema.get("format", "text")
        case kind:
            return str(kind)


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


def _profiles() -> str:
    found = {name: _values(tomllib.loads((CONFIG / f"{stage}.toml").read_text())) for name, stage in PROFILES.items()}
    names = {name: None for values in found.values() for name in values}
    rows = []
    for name in names:
        values = [_value(found[profile].get(name, _default(name))) for profile in PROFILES]
        if len(set(values)) > 1:
            rows.append((f"`{name}`", *values))
    heads = [f"{profile} (`{stage}.toml`)" for profile, stage in PROFILES.items()]
    return _table(("setting", *heads), rows)


def _values(tables: Mapping[str, Any]) -> dict[str, Any]:
    """`group.name` -> value, as a file sets them."""
    flat: dict[str, Any] = {}
    for name, value in tables.items():
        flat |= {f"{name}.{key}": each for key, each in value.items()} if isinstance(value, dict) else {name: value}
    return flat


def _default(path: str) -> Any:
    fields: Mapping[str, FieldInfo] = DeploymentSettings.model_fields
    *groups, name = path.split(".")
    for each in groups:
        group = _group(fields[each])
        assert group is not None
        fields = group.model_fields
    return fields[name].get_default(call_default_factory=True)


def _value(value: Any) -> str:
    plain = to_jsonable_python(value)
    return "none" if plain is None else _code(plain)


def _code(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return f"`{text}`"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
