"""Whether a model fits a GPU: weights and key-value cache against the memory of the endpoint's instance.

Memory of one GPU, in bytes, with tensor parallelism over `n` GPUs:

    available = utilisation * memory - reserve
    weights   = sum over number formats (parameters * bytes) / n
    token     = 2 * layers * ceil(kv_heads / n) * head_dim * bytes      (one key and one value per layer and head)
    room      = (available - weights) / token                            tokens that fit into the cache

The model fits when `room` holds at least one sequence of the longest length; vLLM refuses to start otherwise.

Sources: the two vectors per layer and token are those of Kwon et al., "Efficient Memory Management for Large Language
Model Serving with PagedAttention" (SOSP 2023), section 3; fewer `kv_heads` than attention heads is grouped-query
attention, Ainslie et al. (EMNLP 2023); the latent cache (`kv_lora_rank`) is section 2.1 of DeepSeek-V2 (2024), which
keeps one compressed vector and one rotary key per layer and token on every GPU. `utilisation` is vLLM's option
`gpu_memory_utilization`. `reserve` (activations, CUDA context and graphs) is an estimate: vLLM measures it at start.
Sliding windows and mixed attention need less than the formula says, never more.

Bytes of a weight when the engine quantizes at the start: one with fp8; with bitsandbytes half a byte (four bits) and
four more for every 64 weights, which share a scale (Dettmers et al., "QLoRA", NeurIPS 2023, section 3). Both leave the
embedding and the output layer as they are: https://docs.vllm.ai/en/latest/features/quantization/fp8.html. Files that
are quantized already (awq, gptq) are counted as they are stored.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GB = 10**9
UTILISATION = 0.9
RESERVE_BYTES = 2 * 1024**3
FLOATS = {"F64": 8, "F32": 4, "BF16": 2, "F16": 2}
STORED_BYTES = {
    **FLOATS,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "F4": 0.5,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}
SERVED_BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}
QUANTIZED_BYTES = {"fp8": 1, "bitsandbytes": 0.5 + 4 / 64}
ONE_GPU = 1
GPUS: Mapping[str, tuple[int, Mapping[str, int]]] = {
    # Family: GB of one GPU, GPUs by size (1 when not named). https://aws.amazon.com/ec2/instance-types/#Accelerated_Computing
    # GB of 10^9 bytes, a little less than the driver reports.
    "g4dn": (16, {"12xlarge": 4}),
    "g5": (24, {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8}),
    "g6": (24, {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8}),
    "g6e": (48, {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8}),
    "p3": (16, {"8xlarge": 4, "16xlarge": 8}),
    "p4d": (40, {"24xlarge": 8}),
    "p4de": (80, {"24xlarge": 8}),
    "p5": (80, {"48xlarge": 8}),
    "p5e": (141, {"48xlarge": 8}),
    "p5en": (141, {"48xlarge": 8}),
}


class FitUnknownError(ValueError):
    """The formula lacks a number; the message says which."""


@dataclass(frozen=True)
class Gpus:
    """GPUs of one instance: how many, and the bytes of each."""

    count: int
    memory: int


@dataclass(frozen=True)
class Shape:
    """Sizes of a model that decide its memory.

    Attributes:
        weights: bytes of all parameters as they are served.
        layers: layers that keep a cache.
        kv_heads: heads of keys and values; 1 for a latent cache, which is not split over GPUs.
        values: numbers that one layer and head keeps per token (key and value together).
        value_bytes: bytes of one such number.
    """

    weights: float
    layers: int
    kv_heads: int
    values: int
    value_bytes: int

    def token_bytes(self, gpus: int) -> int:
        """Cache of one token on each of `gpus` GPUs."""
        return self.layers * math.ceil(self.kv_heads / gpus) * self.values * self.value_bytes


@dataclass(frozen=True)
class Fit:
    """The outcome: bytes per GPU, and tokens that the cache has room for (negative: not even the weights fit)."""

    weights: float
    available: float
    room: int


def gpus_of(instance_type: str) -> Gpus:
    """GPUs of a SageMaker instance type like `ml.g6.2xlarge`.

    Raises:
        FitUnknownError: for a family that is not in the table.
    """
    parts = re.fullmatch(r"ml\.([a-z0-9-]+)\.([a-z0-9]+)", instance_type)
    if parts is None or parts[1] not in GPUS:
        raise FitUnknownError(f"the GPU memory of {instance_type} is not known here")
    memory, counts = GPUS[parts[1]]
    return Gpus(counts.get(parts[2], ONE_GPU), memory * GB)


def weight_bytes(
    parameters: Mapping[str, int], dtype: str, quantization: str | None = None, unquantized: int = 0
) -> float:
    """Bytes of the weights as served, from the number of parameters by stored number format.

    Floats of 16 bits and more are converted to `dtype` (`auto` keeps 16 bits and makes 32 into 16), other formats are
    quantized already and stay.

    Args:
        parameters: number of parameters by number format.
        dtype: setting of the same name.
        quantization: setting of the same name; `fp8` and `bitsandbytes` convert floats while they are loaded.
        unquantized: of the floats, those that stay as they are even then (`unquantized_parameters`).

    Raises:
        FitUnknownError: for no parameters, or a format that is not known here.
    """
    if not parameters:
        raise FitUnknownError("the number of parameters is not known")
    unknown = set(parameters) - set(STORED_BYTES)
    if unknown:
        raise FitUnknownError(f"the number format {', '.join(sorted(unknown))} is not known here")
    floats = sum(count for form, count in parameters.items() if form in FLOATS)
    stored = sum(count * STORED_BYTES[form] for form, count in parameters.items() if form not in FLOATS)
    served = SERVED_BYTES.get(dtype, 2)
    whole = min(unquantized, floats)
    return stored + whole * served + (floats - whole) * QUANTIZED_BYTES.get(quantization or "", served)


def unquantized_parameters(config: Mapping[str, Any]) -> int:
    """Parameters of the embedding and, where it is not the same, of the output layer; 0 without the numbers for it."""
    text = config.get("text_config") or config
    one = int(text.get("vocab_size") or 0) * int(text.get("hidden_size") or 0)
    tied = text.get("tie_word_embeddings", config.get("tie_word_embeddings", True))
    return one if tied else 2 * one


def shape_of(config: Mapping[str, Any], weights: float, value_bytes: int = 2) -> Shape:
    """A model's shape from its `config.json`; a model of several parts describes its text part under `text_config`.

    Raises:
        FitUnknownError: naming the field that is missing.
    """
    text = config.get("text_config") or config
    layers = _whole(text, "num_hidden_layers")
    if text.get("kv_lora_rank"):
        latent = _whole(text, "kv_lora_rank") + _whole(text, "qk_rope_head_dim")
        return Shape(weights, layers, 1, latent, value_bytes)
    heads = _whole(text, "num_attention_heads")
    kv_heads = int(text.get("num_key_value_heads") or heads)
    head_dim = int(text.get("head_dim") or _whole(text, "hidden_size") // heads)
    return Shape(weights, layers, kv_heads, 2 * head_dim, value_bytes)


def fit(shape: Shape, gpus: Gpus, parallel: int, utilisation: float = UTILISATION) -> Fit:
    """The formula of this module, for one copy of the model over `parallel` of the instance's GPUs."""
    available = utilisation * gpus.memory - RESERVE_BYTES
    weights = shape.weights / parallel
    return Fit(weights, available, math.floor((available - weights) / shape.token_bytes(parallel)))


def stored_parameters(directory: Path) -> dict[str, int]:
    """Number of parameters by number format, from the headers of a directory's safetensors files.

    A file starts with the length of its header (8 bytes, little endian) and the header as JSON:
    https://huggingface.co/docs/safetensors/index#format
    """
    found: Counter[str] = Counter()
    for path in sorted(directory.glob("*.safetensors")):
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
        for name, tensor in header.items():
            if name != "__metadata__":
                found[tensor["dtype"]] += math.prod(tensor["shape"])
    return dict(found)


def _whole(config: Mapping[str, Any], field: str) -> int:
    value = config.get(field)
    if not isinstance(value, int) or value < 1:
        raise FitUnknownError(f"the model's config.json has no {field}")
    return value
