"""`python -m scripts.configuration_docs`: writes the pages that are made from settings.

docs/configuration.md comes from the deployment settings, docs/environment.md from the settings of the services
(`scripts.environment_docs`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from infra.settings.deployment import CONFIG, NESTING, PREFIX, DeploymentSettings
from scripts import aws_rules_docs, environment_docs
from scripts.settings_table import format_value, settings_rows, table

TARGET = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"
PROFILES = {"lowest cost": "dev", "standard": "standard", "private": "prod"}
"""Name of each profile -> the file under infra/config that is it."""
INTRODUCTION = """# Configuration

Made from `infra/settings/deployment.py` by `make docs`; do not edit it by hand.

A stage is a file, `infra/config/STAGE.toml`. An environment variable `TWIN_GROUP__NAME` takes precedence over the
file; the value of a list or a table is JSON (`TWIN_LLM__ENVIRONMENT='{"NAME": "value"}'`). A wrong, missing or
unknown setting is refused before anything is synthesized, with the setting, its file and its variable. Secrets are
not settings: they are put into Secrets Manager after the deployment. What the deployed services read:
[environment](environment.md).

## Profiles

A profile is a stage to start from: `cp infra/config/standard.toml infra/config/STAGE.toml`, or set single variables.
`make cost STAGE=...` prices it before it is deployed. The stages `local` and `preview` are the lowest cost profile with
smaller numbers. A setting that is not in this table is the same in all three.
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
    rows = settings_rows(
        model, fields, lambda name: PREFIX + NESTING.join(part.upper() for part in (group, name) if part)
    )
    return table(("name", "variable", "values", "default", "what it is"), rows)


def _profiles() -> str:
    found = {name: _values(tomllib.loads((CONFIG / f"{stage}.toml").read_text())) for name, stage in PROFILES.items()}
    names = {name: None for values in found.values() for name in values}
    rows = []
    for name in names:
        values = [format_value(found[profile].get(name, _default(name))) for profile in PROFILES]
        if len(set(values)) > 1:
            rows.append((f"`{name}`", *values))
    heads = [f"{profile} (`{stage}.toml`)" for profile, stage in PROFILES.items()]
    return table(("setting", *heads), rows)


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


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
    environment_docs.TARGET.write_text(environment_docs.render(), encoding="utf-8")
    aws_rules_docs.TARGET.write_text(aws_rules_docs.render(), encoding="utf-8")
