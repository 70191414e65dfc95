"""Parts of the local cloud, one by one, for tests that need nothing else of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localcloud.ports import free_port
from localcloud.process import Child, answers, base_environment
from localcloud.qdrant.app import create_app
from localcloud.qdrant.engine import Engine
from tests.asgi_server import serving as serving_app
from tests.aws import SERVER

START_SECONDS = 60.0
STOP_SECONDS = 5.0
PATIENCE_SECONDS = 20
"""Longer than any machine stands still: a test of what is late sets its own."""
PATIENT = {"QDRANT_TIMEOUT_SECONDS": str(PATIENCE_SECONDS)}
"""Environment of programs under test."""


@contextmanager
def serving(module: str, ready: str, folder: Path) -> Iterator[str]:
    """The address of a part (as `localcloud.emulator`) that keeps its data below `folder`."""
    port = free_port()
    where = ("--host", "127.0.0.1", "--port", str(port), "--data", str(folder / "data"))
    child = Child([sys.executable, "-m", module, *where], {**base_environment(folder), **SERVER}, folder / "log")
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(f"http://127.0.0.1:{port}{ready}"):
            assert child.exit_code() is None and time.monotonic() < deadline, child.last_log_line()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.stop(STOP_SECONDS)


@contextmanager
def qdrant(folder: Path) -> Iterator[str]:
    """The address of the local Qdrant over a folder, on a thread: as a process it would spend a second on imports."""
    with serving_app(create_app(Engine(folder))) as url:
        yield url
