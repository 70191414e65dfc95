"""How the tests are shared out: a module stays on one worker, and all that use the one deployment stay together."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARE_ONE_DEPLOYMENT = ("test_faults.py", "test_story.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        path = Path(item.path)
        group = "deployment" if path.name in SHARE_ONE_DEPLOYMENT else str(path.relative_to(Path(__file__).parent))
        item.add_marker(pytest.mark.xdist_group(group))
