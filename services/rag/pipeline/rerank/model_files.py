"""Finds the files of a cross-encoder: a directory, or a model on the hub."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from services.common.settings import ConfigurationError

FILES = ("tokenizer.json", "onnx/model.onnx", "model.onnx")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def is_hub_id(model: str) -> bool:
    """Whether a setting names a model on the hub: `owner/name`, and no directory of that name is here."""
    return _HUB_ID.fullmatch(model) is not None and not Path(model).exists()


def model_directory(model: str, revision: str | None) -> Path:
    """The directory with the model's files, downloaded into the hub's own cache when the setting is a hub id.

    Raises:
        ConfigurationError: huggingface_hub is not installed, or the download failed.
    """
    if not is_hub_id(model):
        return Path(model)
    try:
        hub = importlib.import_module("huggingface_hub")
    except ImportError:
        raise ConfigurationError(
            "environment variable RERANKER_MODEL is a hub id, and huggingface_hub is not installed to download it: "
            "install it, or set RERANKER_MODEL to a directory"
        ) from None
    try:
        return Path(hub.snapshot_download(model, revision=revision, allow_patterns=list(FILES)))
    except Exception as error:
        raise ConfigurationError(
            f"environment variable RERANKER_MODEL is wrong: {model} cannot be downloaded ({type(error).__name__})"
        ) from error
