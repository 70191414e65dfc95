"""A cross-encoder on onnxruntime: reads question and passage together, in the CPU pool."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from services.common.settings import ConfigurationError
from services.rag.embeddings.pool import CpuPool

# A MiniLM with 6 layers takes about 300 ms on one core for this; more would be the slowest part of an answer.
MAX_CANDIDATES = 10
MAX_TOKENS = 128
TOKENIZER = "tokenizer.json"
_PATTERNS = ("onnx/model*.onnx", "model*.onnx")

Floats = npt.NDArray[np.float32]


class CrossEncoder:
    """A loaded model. Safe to share between threads."""

    def __init__(self, model_dir: Path, threads: int = 1) -> None:
        """Load `tokenizer.json` and the model of a directory, and score one pair to see that they fit together.

        Args:
            model_dir: as `find_model` takes it.
            threads: per call.

        Raises:
            ConfigurationError: a file is missing or damaged, or the model does not score pairs.
        """
        # Imported here, since loading them is slow and other re-rankers do not need them.
        import onnxruntime
        from tokenizers import Tokenizer

        model = find_model(model_dir)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Spinning idle workers would take cores from the rest of the service.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._tokenizer = Tokenizer.from_file(str(model_dir / TOKENIZER))
            self._tokenizer.enable_truncation(MAX_TOKENS)
            # Rows of a batch are padded to its longest below, not to the file's fixed length.
            self._tokenizer.no_padding()
            self._session: Any = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
            self._inputs = {given.name for given in self._session.get_inputs()}
            scores = self.score("question", ["passage"])
        except Exception as error:
            raise ConfigurationError(
                f"environment variable RERANKER_MODEL is wrong: {model} is not a cross-encoder that can be used "
                f"({type(error).__name__})"
            ) from error
        if not np.isfinite(scores).all():
            raise ConfigurationError(f"environment variable RERANKER_MODEL is wrong: {model} gives no finite scores")

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """Probability per text that it answers the query: the sigmoid of one logit, or the softmax of two.

        Pairs are cut at 128 tokens, the longer part first.

        Raises:
            ValueError: the model has neither one nor two outputs per pair.
        """
        # One by one: encode_batch would start a thread per core.
        encoded = [self._tokenizer.encode(query, text) for text in texts]
        shape = (len(encoded), max(len(pair.ids) for pair in encoded))
        arrays = {name: np.zeros(shape, np.int64) for name in ("input_ids", "attention_mask", "token_type_ids")}
        for row, pair in enumerate(encoded):
            length = len(pair.ids)
            arrays["input_ids"][row, :length] = pair.ids
            arrays["attention_mask"][row, :length] = 1
            arrays["token_type_ids"][row, :length] = pair.type_ids
        given = {name: array for name, array in arrays.items() if name in self._inputs}
        logits: Floats = np.asarray(self._session.run(None, given)[0], np.float32).reshape(len(encoded), -1)
        if logits.shape[1] not in (1, 2):
            raise ValueError(f"a cross-encoder has 1 or 2 outputs per pair, this one {logits.shape[1]}")
        # The softmax of two logits is the sigmoid of their difference.
        margin = logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]
        # Beyond 30 the sigmoid is 0 or 1 in float32 anyway, and exp would overflow.
        return [float(value) for value in 1 / (1 + np.exp(-np.clip(margin, -30, 30)))]


class CrossEncoderScorer:
    """Scores on the CPU pool, at most 10 passages."""

    max_candidates = MAX_CANDIDATES

    def __init__(self, model: CrossEncoder, name: str, pool: CpuPool) -> None:
        self.reranker_id = f"cross-encoder:{name}"
        self._model = model
        self._pool = pool

    async def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """One probability per text.

        Raises:
            Overloaded: too much CPU work is waiting.
        """
        return await self._pool.run(self._model.score, query, texts)


def find_model(model_dir: Path) -> Path:
    """The model file of a directory: `onnx/model.onnx` or `model.onnx`, else the first `model*.onnx` by name.

    Raises:
        ConfigurationError: the directory, its tokenizer or a model is missing.
    """
    if not (model_dir / TOKENIZER).is_file():
        why = f"has no {TOKENIZER}" if model_dir.is_dir() else "is not a directory"
        raise ConfigurationError(f"environment variable RERANKER_MODEL is wrong: {model_dir} {why}")
    found = [path for pattern in _PATTERNS for path in sorted(model_dir.glob(pattern))]
    if not found:
        raise ConfigurationError(
            f"environment variable RERANKER_MODEL is wrong: {model_dir} has no {' and no '.join(_PATTERNS)}"
        )
    return next((path for path in found if path.name == "model.onnx"), found[0])
