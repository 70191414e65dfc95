"""What the preflight says about a model whose files are at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.settings.deployment import load_settings
from infra.settings.llm import LlmSettings
from twin.doctor.check import run
from twin.doctor.context import Context
from twin.doctor.finding import Finding, Status
from twin.doctor.model import CHECKS, FITS, QUANTIZED
from twin.target.stage import Stage

CONFIG = {"num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4, "hidden_size": 3584}


def look(folder: Path, config: dict[str, Any], shape: list[int], **llm: Any) -> list[Finding]:
    """The findings about the fit of a model of one tensor."""
    (folder / "config.json").write_text(json.dumps({**CONFIG, **config}))
    header = json.dumps({"w": {"dtype": "BF16", "shape": shape, "data_offsets": [0, 0]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    settings = load_settings("dev").model_copy(update={"llm": LlmSettings.model_validate(llm)})
    context = Context(Stage("dev", "us-east-1"), settings, model_dir=folder)
    return run([check for check in CHECKS if check.name == FITS], context)


@pytest.mark.parametrize(
    ("config", "quantization", "said"),
    [
        ({}, "awq", "the settings say awq, the model's config.json nothing of it"),
        ({"quantization_config": {"quant_method": "gptq"}}, "awq", "the model's config.json gptq"),
        ({"quantization_config": {"quant_method": "awq"}}, "bitsandbytes", "quantized with awq already"),
    ],
)
def test_files_that_are_not_quantized_as_the_settings_say(
    tmp_path: Path, config: dict[str, Any], quantization: str, said: str
) -> None:
    first, *_ = look(tmp_path, config, [7_000_000_000], quantization=quantization)
    assert (first.check, first.status) == (QUANTIZED, Status.FAILED)
    assert said in first.seen


@pytest.mark.parametrize(
    ("method", "quantization"), [("awq", "awq"), ("awq", "none"), ("fp8", "fp8"), (None, "bitsandbytes")]
)
def test_files_that_are(tmp_path: Path, method: str | None, quantization: str) -> None:
    config = {"quantization_config": {"quant_method": method}} if method else {}
    found = look(tmp_path, config, [7_000_000_000], quantization=quantization)
    assert [(each.check, each.status) for each in found] == [(FITS, Status.OK)]


def test_the_typed_setting_counts_and_the_containers_own_option_before_it(tmp_path: Path) -> None:
    def fits(**llm: Any) -> Status:
        (found,) = look(tmp_path, {}, [14_000_000_000], **llm)
        return found.status

    assert fits() is Status.FAILED
    assert fits(quantization="fp8") is Status.OK
    assert fits(environment={"SM_VLLM_QUANTIZATION": "fp8"}) is Status.OK
    assert fits(container="lmi", environment={"OPTION_QUANTIZE": "fp8"}) is Status.OK
    assert fits(container="lmi", environment={"SM_VLLM_QUANTIZATION": "fp8"}) is Status.FAILED


def test_a_model_must_fit_every_instance_type_that_it_may_get(tmp_path: Path) -> None:
    found = look(tmp_path, {}, [7_000_000_000], fallback_instance_types=["ml.g6e.2xlarge", "ml.g4dn.2xlarge"])
    assert [each.status for each in found] == [Status.OK, Status.OK, Status.FAILED]
    assert "ml.g4dn.2xlarge" in found[-1].seen
