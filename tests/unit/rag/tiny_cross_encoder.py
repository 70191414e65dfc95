"""A randomly initialised cross-encoder in BERT's shape: embeddings, one attention, a head over the first token."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

_WORDS = "the a an endpoint sleeps queue without alarm is bin why asleep question passage q 0 1 2 3 4 5 6 7 8 9"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
HIDDEN = 16
POSITIONS = 128


def write_cross_encoder(folder: Path, place: str = "model.onnx", *, outputs: int = 1) -> None:
    """Write `tokenizer.json` and a model with `outputs` logits per pair below `folder`."""
    _tokenizer().save(str(folder / "tokenizer.json"))
    (folder / place).parent.mkdir(exist_ok=True)
    onnx.save(_model(outputs), str(folder / place))


def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(
        models.WordLevel({w: i for i, w in enumerate([*SPECIAL, *_WORDS.split()])}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


def _model(outputs: int) -> onnx.ModelProto:
    random = np.random.default_rng(7)

    def weights(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array(random.normal(0, 0.5, shape).astype(np.float32), name)

    initial = [
        weights("words", len(SPECIAL) + len(_WORDS.split()), HIDDEN),
        weights("types", 2, HIDDEN),
        weights("positions", POSITIONS, HIDDEN),
        *(weights(name, HIDDEN, HIDDEN) for name in ("query", "key", "value")),
        weights("head", HIDDEN, outputs),
        *(numpy_helper.from_array(np.asarray(value, np.int64), name) for name, value in _INTEGERS.items()),
        numpy_helper.from_array(np.asarray(1e4, np.float32), "large"),
        numpy_helper.from_array(np.asarray(1.0, np.float32), "one_float"),
    ]
    node = helper.make_node
    nodes = [
        node("Gather", ["words", "input_ids"], ["word"]),
        node("Gather", ["types", "token_type_ids"], ["type"]),
        node("Shape", ["input_ids"], ["shape"]),
        node("Gather", ["shape", "one"], ["width"]),
        node("Range", ["zero", "width", "one"], ["places"]),
        node("Gather", ["positions", "places"], ["position"]),
        node("Add", ["word", "type"], ["typed"]),
        node("Add", ["typed", "position"], ["hidden"]),
        *(node("MatMul", ["hidden", name], [f"{name}s"]) for name in ("query", "key", "value")),
        node("Transpose", ["keys"], ["keys_t"], perm=[0, 2, 1]),
        node("MatMul", ["querys", "keys_t"], ["logits_all"]),
        node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        node("Sub", ["mask", "one_float"], ["missing"]),
        node("Mul", ["missing", "large"], ["penalty"]),
        node("Unsqueeze", ["penalty", "one_axis"], ["penalty_rows"]),
        node("Add", ["logits_all", "penalty_rows"], ["logits_seen"]),
        node("Softmax", ["logits_seen"], ["attention"], axis=-1),
        node("MatMul", ["attention", "values"], ["mixed"]),
        node("Add", ["mixed", "hidden"], ["out"]),
        node("Gather", ["out", "zero"], ["first"], axis=1),
        node("MatMul", ["first", "head"], ["logits"]),
    ]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", outputs])
    graph = helper.make_graph(nodes, "cross-encoder", inputs, [output], initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


_INTEGERS: dict[str, int | list[int]] = {"zero": 0, "one": 1, "one_axis": [1]}
