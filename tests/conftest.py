"""Fixtures and hooks of all tests."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from scripts.build_embedding_model import build
from twin.target.node import find_node
from twin.target.paths import EMBEDDING_MODEL, VENV

# The CDK's check against CloudFormation's schemas takes five seconds to start, in each process that synthesizes:
# tests/infra/test_lint.py makes it of every stage. Node reads this when the first module imports the CDK.
os.environ["CDK_VALIDATION"] = "false"
# The Node that set-up chose, as for the CDK command line: a system's older one warns in each process with the CDK.
if (node := find_node(VENV)) is not None:
    os.environ["JSII_NODE"] = str(node)

pytest_plugins = ["tests.programs", "tests.worker_groups", "tests.attack_figures"]

MOST_WORKERS = 4


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than there are processors (`-n logical`): many tests wait for a deployment while others could run."""
    return min((os.cpu_count() or 1) + 1, MOST_WORKERS)


def pytest_configure(config: pytest.Config) -> None:
    """Collect garbage rarely: what a worker imports and collects stays, and looking through it again finds nothing."""
    gc.set_threshold(50_000, 20, 100)


@pytest.fixture(scope="session")
def embedding_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of the shipped embedding model: the one that set-up built, else one built now."""
    if (EMBEDDING_MODEL / "model.onnx").is_file():
        return EMBEDDING_MODEL
    return build(tmp_path_factory.mktemp("embedding") / "model")
