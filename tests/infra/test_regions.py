"""The preflight knows which resource types of the stacks a region lacks."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from cfnlint.helpers import REGIONS  # type: ignore[import-untyped]
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped]

from infra.settings.deployment import load_settings
from twin.doctor.regions import missing_types

from .conftest import Synthesize
from .test_trust import EVERYTHING

REAL_TIME = {"TWIN_LLM__MODE": "real-time", "TWIN_RAG__EDGE": "internal"}


@pytest.mark.parametrize(
    ("stage", "variables"),
    [("local", {}), ("dev", {}), ("prod", {}), ("dev", EVERYTHING), ("dev", REAL_TIME)],
    ids=["local", "dev", "prod", "everything", "real-time, internal"],
)
def test_the_preflight_finds_what_a_region_lacks_of_the_templates(
    stage: str, variables: Mapping[str, str], synthesize: Synthesize, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = synthesize(stage, variables)
    used = {
        resource["Type"]
        for file in folder.glob("*.template.json")
        for resource in json.loads(file.read_text())["Resources"].values()
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(stage)
    for region in REGIONS:
        lacking = used - set(PROVIDER_SCHEMA_MANAGER.get_resource_types(region))
        assert set(missing_types(settings, region)) == lacking, region
