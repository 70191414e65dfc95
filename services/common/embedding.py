"""Sentence embeddings on onnxruntime: int8 MiniLM, pooling and normalisation inside the graph.

The model directory is built by `python -m scripts.build_embedding_model OUT_DIR`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from services.common.settings import ConfigurationError

FILES = ("model.onnx", "tokenizer.json", "config.json")
# Measured on 2 cores: larger batches are no faster and hold more memory.
BATCH_SIZE = 16

Vectors = npt.NDArray[np.float32]


class EmbeddingModelError(ConfigurationError):
    """The model directory cannot be used; the message says which setting and which command help."""


def check_model_dir(model_dir: Path) -> None:
    """Check that the files of a model are there, without loading them.

    Raises:
        EmbeddingModelError: the directory or one of its files is missing.
    """
    missing = [name for name in FILES if not (model_dir / name).is_file()]
    if missing:
        raise _unusable(model_dir, f"has no {', '.join(missing)}" if model_dir.is_dir() else "is not a directory")


class Embedder:
    """Turns texts into vectors. Safe to share between threads.

    int8 activations are scaled per batch, so that a text's vector varies slightly (cosine about 0.99) with the texts
    beside it.
    """

    def __init__(self, model_dir: Path, threads: int = 1) -> None:
        """Load the model (about half a second) to run on `threads` threads per call.

        Raises:
            EmbeddingModelError: the directory is missing, incomplete or damaged.
        """
        # Imported here: loading them takes long, and not every importer of this module embeds.
        import onnxruntime
        from tokenizers import Tokenizer

        model_dir = Path(model_dir)
        check_model_dir(model_dir)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Idle workers that spin would take the cores from the rest of the service.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            config = json.loads((model_dir / "config.json").read_text())
            self.model_id = str(config["model_id"])
            self.dimension = int(config["dimension"])
            self.max_tokens = int(config["max_tokens"])
            self._tokenizer = Tokenizer.from_file(str(model_dir / "tokenizer.json"))
            self._session: Any = onnxruntime.InferenceSession(
                str(model_dir / "model.onnx"), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise _unusable(model_dir, f"is damaged ({type(error).__name__})") from error
        self._tokenizer.enable_truncation(self.max_tokens)
        # Rows of a batch are padded to its longest below, not to the file's fixed length.
        self._tokenizer.no_padding()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embeddings of shape (len(texts), dimension), float32, each of length 1; long texts are cut at `max_tokens`.

        Raises:
            ValueError: one string was given instead of a sequence of strings.
        """
        if isinstance(texts, str):
            raise ValueError("embed() takes a sequence of texts, not one string.")
        vectors = np.empty((len(texts), self.dimension), np.float32)
        # One by one: encode_batch would start a thread per core.
        encoded = [self._tokenizer.encode(text).ids for text in texts]
        # Texts of like length together, so that little is spent on padding.
        order = sorted(range(len(texts)), key=lambda index: len(encoded[index]))
        for start in range(0, len(order), BATCH_SIZE):
            rows = order[start : start + BATCH_SIZE]
            vectors[rows] = self._run([encoded[row] for row in rows])
        return vectors

    def _run(self, batch: list[list[int]]) -> Vectors:
        width = max(len(ids) for ids in batch)
        input_ids = np.zeros((len(batch), width), np.int64)
        mask = np.zeros_like(input_ids)
        for row, ids in enumerate(batch):
            input_ids[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        output: Vectors = self._session.run(["embedding"], {"input_ids": input_ids, "attention_mask": mask})[0]
        return output


def _unusable(model_dir: Path, why: str) -> EmbeddingModelError:
    return EmbeddingModelError(
        f"environment variable EMBEDDING_MODEL_DIR is wrong: {model_dir} {why}; "
        f"build it with `python -m scripts.build_embedding_model {model_dir}`"
    )
