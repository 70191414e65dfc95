"""One bootstrapped account for the tests of delivery."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.infra.conftest import _clean_environment, synthesize
from tests.integration.emulator.conftest import Emulator, running

__all__ = ["_clean_environment", "synthesize"]


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(tmp_path_factory.mktemp("aws")) as emulator:
        emulator.client("ssm").put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="30", Type="String")
        yield emulator
