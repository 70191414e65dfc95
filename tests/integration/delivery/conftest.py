"""One bootstrapped account for the tests of delivery."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.infra.conftest import _clean_environment, synthesize
from tests.integration.delivery.enforced import account
from tests.integration.emulator.conftest import Emulator, running
from tests.worker_groups import share_worker

__all__ = ["_clean_environment", "account", "synthesize"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    share_worker(items, Path(__file__).parent)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(tmp_path_factory.mktemp("aws")) as emulator:
        emulator.client("ssm").put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="30", Type="String")
        yield emulator
