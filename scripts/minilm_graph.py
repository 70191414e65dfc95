"""The ONNX graph of MiniLM-L6 (BERT: 6 layers, 12 heads, width 384) with mean pooling and L2 normalisation."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

LAYERS, HEADS, WIDTH = 6, 12, 384
HEAD_WIDTH = WIDTH // HEADS
LAYER_NORM_EPSILON = 1e-12
OPSET = 17
# What OPSET needs; the newest one that onnx would write may be ahead of the onnxruntime that reads it.
IR_VERSION = 8
# Added to the scores of padding: far below any real score, and still finite in every precision.
MASKED = -10_000.0


class _Graph:
    """Collects nodes and constants; every method returns the name of the tensor it made."""

    def __init__(self, weights: dict[str, Any]) -> None:
        self._weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        output = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def constant(self, name: str, value: Any) -> str:
        self.constants.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def floats(self, name: str, value: float) -> str:
        return self.constant(name, np.array(value, np.float32))

    def integers(self, name: str, *values: int) -> str:
        return self.constant(name, np.array(values, np.int64))

    def weight(self, name: str) -> str:
        return self.constant(name, self._weights[name])

    def linear(self, x: str, prefix: str) -> str:
        # safetensors keeps (out, in), as torch does; MatMul wants (in, out).
        matrix = self.constant(f"{prefix}.weight", self._weights[f"{prefix}.weight"].T)
        return self.op("Add", self.op("MatMul", x, matrix), self.weight(f"{prefix}.bias"))

    def layer_norm(self, x: str, prefix: str) -> str:
        scale, bias = self.weight(f"{prefix}.weight"), self.weight(f"{prefix}.bias")
        return self.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=LAYER_NORM_EPSILON)


def build_graph(weights: Path) -> onnx.ModelProto:
    """The fp32 model: `input_ids`, `attention_mask` (int64, batch x tokens) -> `embedding` (float32, batch x 384)."""
    graph = _Graph(load_file(weights))
    mask = graph.op("Cast", "attention_mask", to=TensorProto.FLOAT)
    hidden = _embeddings(graph)
    hidden_mask = graph.op("Sub", graph.floats("one", 1.0), mask)
    bias = graph.op("Mul", hidden_mask, graph.floats("masked", MASKED))
    bias = graph.op("Unsqueeze", bias, graph.integers("axes_heads_queries", 1, 2))
    for index in range(LAYERS):
        hidden = _layer(graph, hidden, bias, f"encoder.layer.{index}")
    _pool(graph, hidden, mask)
    tokens = ["batch", "tokens"]
    proto = helper.make_graph(
        graph.nodes,
        "all-MiniLM-L6-v2",
        [helper.make_tensor_value_info(name, TensorProto.INT64, tokens) for name in ("input_ids", "attention_mask")],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", WIDTH])],
        list(graph.constants.values()),
    )
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model


def _embeddings(graph: _Graph) -> str:
    words = graph.op("Gather", graph.weight("embeddings.word_embeddings.weight"), "input_ids")
    count = graph.op("Shape", "input_ids", start=1, end=2)
    positions = graph.weight("embeddings.position_embeddings.weight")
    positions = graph.op("Slice", positions, graph.integers("zero", 0), count, graph.integers("axis_0", 0))
    # One sentence per input: every token has type 0.
    kinds = graph.op(
        "Slice",
        graph.weight("embeddings.token_type_embeddings.weight"),
        graph.integers("zero", 0),
        graph.integers("first", 1),
        graph.integers("axis_0", 0),
    )
    total = graph.op("Add", graph.op("Add", words, positions), kinds)
    return graph.layer_norm(total, "embeddings.LayerNorm")


def _layer(graph: _Graph, x: str, bias: str, prefix: str) -> str:
    heads = graph.integers("shape_heads", 0, 0, HEADS, HEAD_WIDTH)

    def project(name: str, order: list[int]) -> str:
        projected = graph.linear(x, f"{prefix}.attention.self.{name}")
        return graph.op("Transpose", graph.op("Reshape", projected, heads), perm=order)

    query, key, value = project("query", [0, 2, 1, 3]), project("key", [0, 2, 3, 1]), project("value", [0, 2, 1, 3])
    scores = graph.op("Div", graph.op("MatMul", query, key), graph.floats("root", math.sqrt(HEAD_WIDTH)))
    shares = graph.op("Softmax", graph.op("Add", scores, bias), axis=-1)
    mixed = graph.op("Transpose", graph.op("MatMul", shares, value), perm=[0, 2, 1, 3])
    mixed = graph.op("Reshape", mixed, graph.integers("shape_width", 0, 0, WIDTH))
    attended = graph.op("Add", graph.linear(mixed, f"{prefix}.attention.output.dense"), x)
    x = graph.layer_norm(attended, f"{prefix}.attention.output.LayerNorm")
    inner = _gelu(graph, graph.linear(x, f"{prefix}.intermediate.dense"))
    return graph.layer_norm(
        graph.op("Add", graph.linear(inner, f"{prefix}.output.dense"), x), f"{prefix}.output.LayerNorm"
    )


def _gelu(graph: _Graph, x: str) -> str:
    error = graph.op("Erf", graph.op("Div", x, graph.floats("sqrt_2", math.sqrt(2.0))))
    return graph.op(
        "Mul", graph.op("Mul", x, graph.op("Add", error, graph.floats("one", 1.0))), graph.floats("half", 0.5)
    )


def _pool(graph: _Graph, hidden: str, mask: str) -> None:
    weights = graph.op("Unsqueeze", mask, graph.integers("axis_last", 2))
    axis = graph.integers("axis_tokens", 1)
    total = graph.op("ReduceSum", graph.op("Mul", hidden, weights), axis, keepdims=0)
    mean = graph.op("Div", total, graph.op("ReduceSum", weights, axis, keepdims=0))
    length = graph.op("ReduceL2", mean, axes=[1], keepdims=1)
    graph.nodes.append(helper.make_node("Div", [mean, length], ["embedding"], name="embedding"))
