"""The service that is attacked, once for all areas."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks.service import Target, service
from tests.attacks.wire import Request, ask
from tests.worker_groups import share_worker


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    share_worker(items, Path(__file__).parent)


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory, embedding_model: Path) -> Iterator[Target]:
    with service(tmp_path_factory.mktemp("attacked"), embedding_model) as found:
        yield found


@pytest.fixture
def target(running: Target) -> Iterator[Target]:
    """The service; after the test it still answers, in the process that was started."""
    yield running
    assert running.process.is_running()
    assert ask(running.url, Request("GET", "/healthz")).status == 200
