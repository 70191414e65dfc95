"""What both linters say of every stage, and of the stacks that only some settings have: each is started once.

cdk-nag looks at every synthesis by itself.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import aws_cdk as cdk
import jsii
import pytest
from constructs import IConstruct

from .conftest import ROOT, STAGES, Synthesize
from .test_delivery import VARIABLES as DELIVERY
from .test_llm_choices import KEY, POOLS, SMALL
from .test_vectors import HOSTED, PRIVATE

STAGED = {
    "TWIN_LLM__WEIGHTS": "s3",
    "TWIN_LLM__WEIGHTS_KMS_KEY_ARN": KEY,
    "TWIN_LLM__DATA_CAPTURE": json.dumps({"bucket": "captures", "kms_key_arn": KEY}),
}
POOLED = {
    "TWIN_LLM__FALLBACK_INSTANCE_TYPES": json.dumps([SMALL]),
    "TWIN_LLM__FALLBACK_MODELS": json.dumps(POOLS["fallback_models"]),
    "TWIN_LLM__SSM_ACCESS": "true",
}
LLM_CHOICES = (
    {
        **STAGED,
        "TWIN_LLM__CONTAINER": "lmi",
        "TWIN_LLM__QUANTIZATION": "bitsandbytes",
        "TWIN_LLM__FALLBACK_INSTANCE_TYPES": '["ml.g5.2xlarge"]',
    },
    {**STAGED, "TWIN_LLM__MODE": "real-time", "TWIN_LLM__KMS_KEY_ARN": KEY},
    POOLED,
    {**POOLED, "TWIN_LLM__MODE": "real-time"},
)
EXPECTED = ("W3005", "W3010")
"""CDK spells out dependencies that a reference already implies; zones are settings, never looked up."""


@pytest.fixture(scope="module")
def files(synthesize: Synthesize) -> list[str]:
    """Paths of templates."""
    stages = [file for stage in (*STAGES, "standard") for file in sorted(synthesize(stage).glob("*.template.json"))]
    apart = (
        synthesize("dev", {"TWIN_VECTORS": HOSTED}) / "twin-dev-vectors.template.json",
        synthesize("prod", {"TWIN_VECTORS": PRIVATE}) / "twin-prod-vectors.template.json",
        synthesize("dev", DELIVERY) / "twin-delivery.template.json",
        *(synthesize("dev", choices) / "twin-dev-llm.template.json" for choices in LLM_CHOICES),
    )
    return [str(file) for file in (*stages, *apart)]


def test_cfn_lint_finds_nothing(files: list[str]) -> None:
    assert len(files) == 4 * 5 + 3 + len(LLM_CHOICES)
    command = [str(ROOT / ".venv/bin/cfn-lint"), "--ignore-checks", *EXPECTED, "--", *files]
    found = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


@jsii.implements(cdk.IPolicyValidationContext)
class Templates:
    """What the CDK hands to a validation at the end of a synthesis."""

    def __init__(self, files: Sequence[str]) -> None:
        self._files = files
        self._app = cdk.App()

    @property
    def template_paths(self) -> list[str]:
        return list(self._files)

    @property
    def stack_templates(self) -> list[cdk.PolicyValidationStack]:
        return [
            cdk.PolicyValidationStack(stack_construct_path=Path(file).name.partition(".")[0], template_path=file)
            for file in self._files
        ]

    @property
    def account_id(self) -> None:
        return None

    @property
    def region(self) -> None:
        return None

    @property
    def app_construct(self) -> IConstruct:
        return self._app


def test_cloudformations_schemas_as_the_cdk_has_them_allow_everything(
    files: list[str], synthesize: Synthesize, tmp_path: Path
) -> None:
    previews = [str(file) for file in sorted(synthesize("pr-12").glob("*.template.json"))]
    broken = tmp_path / "broken.template.json"
    broken.write_text('{"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"Nonsense": 1}}}}')
    validation = cdk.CloudFormationValidatePlugin()
    found = validation.validate(Templates([*files, *previews])).violations
    assert [each.description for each in found if each.rule_name not in EXPECTED] == []
    assert not validation.validate(Templates([str(broken)])).success
