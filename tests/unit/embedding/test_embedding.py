"""The embedder against the built model: shapes, order, truncation, threads and errors of loading."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from services.common.embedding import Embedder, EmbeddingModelError, check_model_dir


def test_vectors_are_float32_of_length_one_and_in_the_order_of_the_texts(embedder: Embedder) -> None:
    texts = [f"{'word ' * (40 - index)}number {index}" for index in range(40)]
    vectors = embedder.embed(texts)
    assert vectors.shape == (40, embedder.dimension) == (40, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-4)
    alone = np.vstack([embedder.embed([text]) for text in texts])
    assert (alone * vectors).sum(axis=1).min() > 0.97


def test_related_texts_are_nearer_than_unrelated_ones(embedder: Embedder) -> None:
    question, related, unrelated = embedder.embed(
        ["How much memory does the KV cache need?", "The KV cache takes 128 KiB per token.", "Bees dance for nectar."]
    )
    assert question @ related > question @ unrelated + 0.3


def test_empty_text_and_no_texts(embedder: Embedder) -> None:
    assert np.isfinite(embedder.embed([""])).all()
    assert embedder.embed([]).shape == (0, 384)


def test_what_lies_beyond_the_token_limit_does_not_count(embedder: Embedder) -> None:
    long = "latency " * (embedder.max_tokens - 2)
    first = embedder.embed([long])
    assert np.array_equal(first, embedder.embed([long + "the harbour was full of herring"]))
    assert not np.array_equal(first, embedder.embed(["herring " + long]))


def test_one_string_is_refused(embedder: Embedder) -> None:
    with pytest.raises(ValueError, match="sequence of texts"):
        embedder.embed("not a list")


def test_threads_share_one_embedder(embedder: Embedder) -> None:
    texts = [f"sentence about topic {index}" for index in range(24)]
    expected = [embedder.embed([text]) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda text: embedder.embed([text]), texts))
    for result, single in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, single, atol=1e-5)


def test_a_missing_directory_names_the_setting_and_the_command(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingModelError) as error:
        Embedder(tmp_path / "nowhere")
    assert "EMBEDDING_MODEL_DIR" in str(error.value)
    assert f"python -m scripts.build_embedding_model {tmp_path / 'nowhere'}" in str(error.value)


def test_an_incomplete_directory_names_what_is_missing(tmp_path: Path, model_dir: Path) -> None:
    shutil.copy(model_dir / "config.json", tmp_path)
    with pytest.raises(EmbeddingModelError, match=r"has no model\.onnx, tokenizer\.json"):
        check_model_dir(tmp_path)


def test_a_damaged_model_is_one_sentence(tmp_path: Path, model_dir: Path) -> None:
    damaged = tmp_path / "model"
    shutil.copytree(model_dir, damaged)
    (damaged / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(EmbeddingModelError, match="is damaged"):
        Embedder(damaged)
