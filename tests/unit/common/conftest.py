from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest


@pytest.fixture
def full_disk() -> Callable[[], IO[bytes]]:
    """Opens a file on a device that takes no byte."""
    return lambda: Path("/dev/full").open("r+b", buffering=0)
