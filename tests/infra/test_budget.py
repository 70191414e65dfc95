"""Templates stay well below CloudFormation's limits, so that a stage can grow before it must be split."""

from __future__ import annotations

import json

import pytest

from .conftest import STAGES, Templates

# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
TEMPLATE_BYTES = 1_000_000
RESOURCES = 500
OUTPUTS = PARAMETERS = 200
SHARE = 0.25


@pytest.mark.parametrize("stage", STAGES)
def test_each_template_needs_a_quarter_of_the_limits_at_most(templates: dict[str, Templates], stage: str) -> None:
    for part, template in templates[stage].items():
        assert len(json.dumps(template, indent=1)) <= SHARE * TEMPLATE_BYTES, part
        assert len(template["Resources"]) <= SHARE * RESOURCES, part
        assert len(template.get("Outputs", {})) <= SHARE * OUTPUTS, part
        assert len(template.get("Parameters", {})) <= SHARE * PARAMETERS, part
