"""The memory formula, against numbers calculated by hand from published configurations."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from twin.doctor.fit import (
    RESERVE_BYTES,
    FitUnknownError,
    Gpus,
    fit,
    gpus_of,
    shape_of,
    stored_parameters,
    unquantized_parameters,
    weight_bytes,
)

QWEN_7B = {"num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4, "hidden_size": 3584}
LLAMA_70B = {"num_hidden_layers": 80, "num_attention_heads": 64, "num_key_value_heads": 8, "hidden_size": 8192}
OPT_13B = {"num_hidden_layers": 40, "num_attention_heads": 40, "hidden_size": 5120}
DEEPSEEK_V2 = {"num_hidden_layers": 60, "num_attention_heads": 128, "kv_lora_rank": 512, "qk_rope_head_dim": 64}


def test_the_cache_of_one_token_is_that_of_the_paper() -> None:
    """Kwon et al. give 800 KB for one token of OPT-13B."""
    assert shape_of(OPT_13B, 0).token_bytes(1) == 800 * 1024


@pytest.mark.parametrize(
    ("config", "gpus", "token_bytes"),
    [
        (QWEN_7B, 1, 2 * 28 * 4 * 128 * 2),
        (LLAMA_70B, 1, 2 * 80 * 8 * 128 * 2),
        (LLAMA_70B, 8, 2 * 80 * 1 * 128 * 2),
        # More GPUs than heads: each keeps one whole head.
        (QWEN_7B, 8, 2 * 28 * 1 * 128 * 2),
        # A latent cache is one vector and one rotary key, on every GPU.
        (DEEPSEEK_V2, 8, 60 * (512 + 64) * 2),
        ({"text_config": QWEN_7B, "vision_config": {}}, 1, 2 * 28 * 4 * 128 * 2),
        ({**QWEN_7B, "head_dim": 256}, 1, 2 * 28 * 4 * 256 * 2),
    ],
)
def test_the_cache_follows_heads_and_gpus(config: dict[str, object], gpus: int, token_bytes: int) -> None:
    assert shape_of(config, 0).token_bytes(gpus) == token_bytes


def test_the_default_model_fits_the_default_instance() -> None:
    shape = shape_of(QWEN_7B, weight_bytes({"BF16": 7_615_616_512}, "bfloat16"))
    outcome = fit(shape, gpus_of("ml.g6.2xlarge"), 1)
    available = 0.9 * 24e9 - RESERVE_BYTES
    assert outcome.weights == 15_231_233_024
    assert outcome.room == int((available - 15_231_233_024) // 57_344)
    assert outcome.room > 8 * 8192


@pytest.mark.parametrize(("parallel", "fits"), [(1, False), (4, False), (8, True)])
def test_seventy_billion_parameters_need_eight_small_gpus(parallel: int, fits: bool) -> None:
    shape = shape_of(LLAMA_70B, weight_bytes({"BF16": 70_553_706_496}, "bfloat16"))
    assert (fit(shape, gpus_of("ml.g6.48xlarge"), parallel).room > 0) is fits


@pytest.mark.parametrize(
    ("parameters", "dtype", "quantization", "expected"),
    [
        ({"BF16": 10}, "bfloat16", None, 20),
        ({"F32": 10}, "bfloat16", None, 20),
        ({"F32": 10}, "auto", None, 20),
        # Packed four-bit weights stay as they are; their scales are floats.
        ({"I32": 10, "F16": 4}, "float16", None, 48),
        ({"F8_E4M3": 10, "BF16": 2}, "auto", None, 14),
        ({"BF16": 10}, "bfloat16", "fp8", 10),
        ({"BF16": 64}, "bfloat16", "bitsandbytes", 36),
        # What is quantized in the files is not quantized again.
        ({"I32": 10, "F16": 4}, "float16", "awq", 48),
        ({"I32": 10, "F16": 4}, "float16", "gptq", 48),
    ],
)
def test_weights_are_counted_as_they_are_served(
    parameters: dict[str, int], dtype: str, quantization: str | None, expected: int
) -> None:
    assert weight_bytes(parameters, dtype, quantization) == expected


@pytest.mark.parametrize(
    ("config", "quantization", "expected"),
    [
        # 152,064 x 3,584 numbers in the embedding, as many in the output layer.
        ({"vocab_size": 152_064, "hidden_size": 3584, "tie_word_embeddings": False}, "fp8", 8_705_611_264),
        ({"vocab_size": 152_064, "hidden_size": 3584, "tie_word_embeddings": True}, "fp8", 8_160_613_888),
        ({"text_config": {"vocab_size": 152_064, "hidden_size": 3584}}, "bitsandbytes", 5_067_218_016),
        ({}, "fp8", 7_615_616_512),
    ],
)
def test_embedding_and_output_layer_are_not_quantized(
    config: dict[str, object], quantization: str, expected: float
) -> None:
    parameters = {"BF16": 7_615_616_512}
    assert weight_bytes(parameters, "bfloat16", quantization, unquantized_parameters(config)) == expected


def test_four_bits_make_a_model_fit_that_else_does_not() -> None:
    parameters, config = {"BF16": 14_770_033_664}, {**QWEN_7B, "vocab_size": 152_064}

    def room(quantization: str | None) -> int:
        weights = weight_bytes(parameters, "bfloat16", quantization, unquantized_parameters(config))
        return fit(shape_of(config, weights), gpus_of("ml.g6.2xlarge"), 1).room

    assert room(None) < 0 < room("bitsandbytes")


@pytest.mark.parametrize(
    ("instance", "gpus"),
    [
        ("ml.g5.xlarge", Gpus(1, 24 * 10**9)),
        ("ml.g6e.12xlarge", Gpus(4, 48 * 10**9)),
        ("ml.p4d.24xlarge", Gpus(8, 40 * 10**9)),
    ],
)
def test_gpus_of_an_instance(instance: str, gpus: Gpus) -> None:
    assert gpus_of(instance) == gpus


def test_what_the_formula_lacks_is_named() -> None:
    with pytest.raises(FitUnknownError, match=r"ml\.m5\.large"):
        gpus_of("ml.m5.large")
    with pytest.raises(FitUnknownError, match="num_hidden_layers"):
        shape_of({"hidden_size": 10}, 0)
    with pytest.raises(FitUnknownError, match="Q3_K"):
        weight_bytes({"Q3_K": 10}, "auto")
    with pytest.raises(FitUnknownError, match="number of parameters"):
        weight_bytes({}, "auto")


def test_parameters_are_counted_from_the_files_of_a_directory(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "a.safetensors", {"x": ("BF16", [3, 4]), "y": ("F32", [5])})
    write_safetensors(tmp_path / "b.safetensors", {"z": ("BF16", [8])})
    assert stored_parameters(tmp_path) == {"BF16": 20, "F32": 5}


def write_safetensors(path: Path, tensors: dict[str, tuple[str, list[int]]]) -> None:
    entries = {
        name: {"dtype": dtype, "shape": shape, "data_offsets": [0, 0]} for name, (dtype, shape) in tensors.items()
    }
    header = json.dumps({"__metadata__": {"format": "pt"}, **entries}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)
