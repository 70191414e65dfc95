"""Sentence embeddings on onnxruntime: the same int8 model in retrieval, in the extractive engine and in evaluation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

BATCH = 16
"""Texts per run of the model: larger batches pad more and were not faster on two cores."""


class EmbeddingModelError(RuntimeError):
    """The model's directory is missing, incomplete or broken; the message says what to set or run."""


class Embedder:
    """Embeds texts with the model in a directory that `scripts.build_embedding_model` wrote.

    Safe to use from several threads at once.

    Attributes:
        model_id: name of the model, recorded beside everything that it embedded.
        dimension: length of a vector.

    Raises:
        EmbeddingModelError: when the directory does not hold a complete model.
    """

    def __init__(self, model_dir: Path, threads: int = 1) -> None:
        try:
            config = json.loads((model_dir / "config.json").read_text())
            self._tokenizer = Tokenizer.from_str((model_dir / "tokenizer.json").read_text())
            model = (model_dir / "model.onnx").read_bytes()
            self.model_id = str(config["model_id"])
            self.dimension = int(config["dimension"])
            self._tokenizer.enable_truncation(int(config["max_tokens"]))
        except (OSError, ValueError, KeyError) as error:
            raise EmbeddingModelError(
                f"EMBEDDING_MODEL_DIR={model_dir} holds no complete embedding model ({type(error).__name__}): "
                "build one with `python -m scripts.build_embedding_model DIR`."
            ) from None
        self._tokenizer.no_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Spinning threads steal time from the event loop that waits for them.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of `texts` in their order: float32 of shape (len(texts), dimension), each of length one.

        A text beyond the model's longest input is cut.
        """
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        # Texts of like length share a batch, so that little is padded.
        order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            vectors[batch] = self._run([ids[index] for index in batch])
        return vectors

    def _run(self, batch: list[list[int]]) -> NDArray[np.float32]:
        width = max(len(ids) for ids in batch)
        input_ids = np.zeros((len(batch), width), dtype=np.int64)
        mask = np.zeros_like(input_ids)
        for row, ids in enumerate(batch):
            input_ids[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        (vectors,) = self._session.run(["embedding"], {"input_ids": input_ids, "attention_mask": mask})
        result: NDArray[np.float32] = vectors
        return result
