from __future__ import annotations

from pathlib import Path

import pytest

from scripts.build_embedding_model import build
from services.common.embedding import Embedder


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("embedding") / "model")


@pytest.fixture(scope="session")
def embedder(model_dir: Path) -> Embedder:
    return Embedder(model_dir)
