"""The built graph against a plain numpy forward pass of BERT, and how the directory comes to be."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from safetensors.numpy import load_file
from tokenizers import Tokenizer

import scripts.build_embedding_model as builder
from scripts.minilm_graph import build_graph
from services.common.embedding import Embedder

SENTENCES = [
    "PagedAttention keeps the KV cache in blocks of fixed size.",
    "Why does the health check time out after 900 seconds?",
    "short",
    "A dead letter queue without an alarm is a bin, says Ada; Bruno tells a story about a Saturday instead.",
]


def numpy_bert(weights: dict[str, Any], ids: list[int]) -> Any:
    """Sentence embedding of one unpadded text, written from the definition of BERT in float64."""
    w = {name: value.astype(np.float64) for name, value in weights.items() if "position_ids" not in name}
    erf = np.vectorize(math.erf)

    def linear(x: Any, name: str) -> Any:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x: Any, name: str) -> Any:
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12) * w[f"{name}.weight"] + w[f"{name}.bias"]

    x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][: len(ids)]
    x = norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for index in range(6):
        layer = f"encoder.layer.{index}"
        query, key, value = (linear(x, f"{layer}.attention.self.{part}") for part in ("query", "key", "value"))
        mixed = np.zeros_like(x)
        for head in range(12):
            part = slice(head * 32, head * 32 + 32)
            scores = np.exp(query[:, part] @ key[:, part].T / math.sqrt(32))
            mixed[:, part] = scores / scores.sum(-1, keepdims=True) @ value[:, part]
        x = norm(linear(mixed, f"{layer}.attention.output.dense") + x, f"{layer}.attention.output.LayerNorm")
        inner = linear(x, f"{layer}.intermediate.dense")
        inner = 0.5 * inner * (1 + erf(inner / math.sqrt(2)))
        x = norm(linear(inner, f"{layer}.output.dense") + x, f"{layer}.output.LayerNorm")
    pooled = x.mean(0)
    return pooled / np.linalg.norm(pooled)


@pytest.fixture(scope="module")
def reference() -> Any:
    source = builder.source_dir()
    weights = load_file(source / "model.safetensors")
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.no_padding()
    return np.vstack([numpy_bert(weights, tokenizer.encode(text).ids) for text in SENTENCES])


def test_the_fp32_graph_is_bert_also_in_a_padded_batch(reference: Any) -> None:
    source = builder.source_dir()
    session = onnxruntime.InferenceSession(build_graph(source / "model.safetensors").SerializeToString())
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch(SENTENCES)
    inputs = {
        "input_ids": np.array([row.ids for row in encoded]),
        "attention_mask": np.array([row.attention_mask for row in encoded]),
    }
    cosines = (session.run(None, inputs)[0] * reference).sum(axis=1)
    assert cosines.min() > 0.9999


def test_int8_stays_near_fp32(embedder: Embedder, reference: Any) -> None:
    cosines = [float(embedder.embed([text])[0] @ row) for text, row in zip(SENTENCES, reference, strict=True)]
    assert min(cosines) > 0.98


def test_the_directory_says_what_it_holds(model_dir: Path) -> None:
    config = json.loads((model_dir / "config.json").read_text())
    assert config["model_id"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert (config["dimension"], config["max_tokens"]) == (384, 256)
    assert config["source_sha256"] == builder.SOURCE_SHA256
    assert [path.name for path in model_dir.parent.iterdir()] == [model_dir.name], "no temporary folder may stay"


def test_an_up_to_date_directory_is_left_alone(model_dir: Path) -> None:
    before = (model_dir / "model.onnx").stat().st_mtime_ns
    assert builder.build(model_dir) == model_dir
    assert (model_dir / "model.onnx").stat().st_mtime_ns == before


def test_a_stale_directory_is_not_up_to_date(tmp_path: Path, model_dir: Path) -> None:
    for name in builder.FILES:
        (tmp_path / name).write_bytes((model_dir / name).read_bytes())
    assert builder.up_to_date(tmp_path)
    (tmp_path / "config.json").write_text('{"source_sha256": "another"}')
    assert not builder.up_to_date(tmp_path)
    (tmp_path / "config.json").write_text("{")
    assert not builder.up_to_date(tmp_path)


def test_other_weights_are_refused_and_nothing_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "package"
    source.mkdir()
    (source / "model.safetensors").write_bytes(b"other weights")
    monkeypatch.setattr(builder, "source_dir", lambda: source)
    with pytest.raises(builder.ModelSourceError, match="expected 53aa5117"):
        builder.build(tmp_path / "out")
    assert not (tmp_path / "out").exists()
