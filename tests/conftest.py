"""What all tests share, and how they are shared out over workers.

A module stays on one worker; so do all that use the one deployment, and the folders whose modules share processes.

The story comes before the faults: it judges the answers of a fresh deployment, and the faults leave
answers without context behind, which the evaluation rightly marks down. The jobs of the workflows deploy anew, and the
last of them deletes everything.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from scripts.build_embedding_model import build
from twin.target.paths import EMBEDDING_MODEL

# The CDK's check against CloudFormation's schemas takes five seconds to start, in each process that synthesizes:
# tests/infra/test_lint.py makes it of every stage. Node reads this when the first module imports the CDK.
os.environ["CDK_VALIDATION"] = "false"

SHARE_ONE_DEPLOYMENT = ("test_story.py", "test_faults.py", "test_jobs.py", "test_delete.py")
SHARE_PROCESSES = ("browser", "delivery", "emulator", "evaluation", "infra", "opik", "qdrant")
MOST_WORKERS = 4


class ByModule(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Sends a module's tests to one worker, and modules that share something expensive to the same."""

    def _split_scope(self, nodeid: str) -> str:
        module = PurePosixPath(nodeid.partition("::")[0])
        if module.name in SHARE_ONE_DEPLOYMENT:
            return "deployment"
        # Not the unit tests: nothing of theirs takes long to start, and the small ones fill the end of a run.
        together = module.parent.name in SHARE_PROCESSES and "unit" not in module.parts
        return str(module.parent if together else module)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than there are processors (`-n logical`): many tests wait for a deployment while others could run."""
    return min((os.cpu_count() or 1) + 1, MOST_WORKERS)


def pytest_configure(config: pytest.Config) -> None:
    """Collect garbage rarely: what a worker imports and collects stays, and looking through it again finds nothing."""
    gc.set_threshold(50_000, 20, 100)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByModule:
    return ByModule(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    name = Path(item.path).name
    return SHARE_ONE_DEPLOYMENT.index(name) if name in SHARE_ONE_DEPLOYMENT else len(SHARE_ONE_DEPLOYMENT)


@pytest.fixture(scope="session")
def embedding_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of the shipped embedding model: the one that set-up built, else one built now."""
    if (EMBEDDING_MODEL / "model.onnx").is_file():
        return EMBEDDING_MODEL
    return build(tmp_path_factory.mktemp("embedding") / "model")
