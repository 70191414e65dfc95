"""How the tests are shared out: a module stays on one worker, and all that use the one deployment stay together.

The story comes before the faults: it judges the answers of a fresh deployment, and the faults leave
answers without context behind, which the evaluation rightly marks down. The delete ends them all.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARE_ONE_DEPLOYMENT = ("test_story.py", "test_faults.py", "test_delete.py")


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: a good part of the tests waits for processes to start and sockets to answer."""
    return min(4, (os.cpu_count() or 1) + 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)
    for item in items:
        path = Path(item.path)
        group = "deployment" if path.name in SHARE_ONE_DEPLOYMENT else str(path.relative_to(Path(__file__).parent))
        item.add_marker(pytest.mark.xdist_group(group))


def _place(item: pytest.Item) -> int:
    name = Path(item.path).name
    return SHARE_ONE_DEPLOYMENT.index(name) if name in SHARE_ONE_DEPLOYMENT else len(SHARE_ONE_DEPLOYMENT)
