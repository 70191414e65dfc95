"""docs/configuration.md says what the settings are."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from infra.settings.deployment import DeploymentSettings, load_settings
from scripts.configuration_docs import PROFILES, TARGET, render


def test_the_committed_page_is_up_to_date() -> None:
    assert TARGET.read_text() == render(), "run `make docs`"


def test_every_setting_has_its_row_and_variable() -> None:
    page = render()
    for name, field in DeploymentSettings.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, BaseModel):
            for each in group.model_fields:
                assert f"| `{each}` | `TWIN_{name.upper()}__{each.upper()}` |" in page
        elif name != "stage":
            assert f"| `{name}` | `TWIN_{name.upper()}` |" in page
    assert "| `cpu` | `TWIN_RAG__CPU` | `256`, `512`, `1024`, `2048`, `4096` | `512` |" in page
    assert "| integer, 128 to 2,000,000 |" in page


@pytest.mark.parametrize("stage", PROFILES.values())
def test_a_profile_is_a_stage_that_loads(stage: str) -> None:
    assert load_settings(stage).stage == stage


def test_the_profiles_table_names_what_differs_only() -> None:
    table = render().partition("## Settings")[0]
    assert "| `network.layout` | `public` | `public` | `private` |" in table
    assert "vectors.url" not in table
    assert "`region`" not in table
